"""Reports that an instance was not analysed: what is left to tell, and what a destination got."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from service.errors import UnreadableImage
from service.inbox.inbox import Inbox
from service.metrics import Metrics
from service.segmenter import Segmenter
from tests.service.inbox.bench import Bench, all_are, process, states
from tests.stow_server import StowServer

TRUNCATED: dict[str, Any] = {"pixel_data": b"\0" * 100}
BROKEN = UnreadableImage("pixel-data-truncated", "It breaks off.")


def is_told(inbox: Inbox) -> Callable[[], bool]:
    """Say whether nothing is left to do, to tell or to deliver."""

    def told() -> bool:
        # In this order: what leaves one is in the next.
        if not {state for state, _ in states(inbox)} <= {"refused", "dead", "delivered"}:
            return False
        if inbox.reports.all_untold():
            return False
        return not {state for _, state in inbox.instances.delivery_counts()} & {"waiting", "stored"}

    return told


def documents(pacs: StowServer) -> list[Dataset]:
    """Return what a destination got, in order; nothing twice with different bytes."""
    assert all(len(set(files)) == 1 for files in pacs.received.values())
    return [pydicom.dcmread(BytesIO(files[0])) for files in pacs.received.values()]


def modalities(pacs: StowServer) -> list[str]:
    return sorted(document.Modality for document in documents(pacs))


def words(document: Dataset) -> str:
    texts = [item for item in document.iterall() if item.keyword == "TextValue"]
    (said,) = [str(item.value) for item in texts if str(item.value).startswith("NOT ANALYSED")]
    return said


def predecessors(document: Dataset) -> list[str]:
    return [
        str(instance.ReferencedSOPInstanceUID)
        for study in document.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def counted(metrics: Metrics, outcome: str, code: str) -> float | None:
    labels = {"outcome": outcome, "code": code}
    return metrics.registry.get_sample_value("mammoseg_not_run_reports_total", labels)


def fail_with(
    error: Exception, monkeypatch: pytest.MonkeyPatch, segmenter: Segmenter
) -> pytest.MonkeyPatch:
    """Let the segmenter fail until it is undone."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(segmenter, "segment", fail)
    return monkeypatch


def stop(inbox: Inbox, error: Exception) -> None:
    """Have a processor refuse or give up what there is; no reporter runs."""

    def refuse(_: Any) -> list[Any]:
        raise error

    done = all_are(inbox, "refused" if getattr(error, "status", 500) < 500 else "dead")
    process(inbox, refuse, Bench(), done, stopped=lambda: None)
