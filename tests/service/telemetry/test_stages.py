"""The stage in which an image's way ended is the one that its trace names."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.cancellation import CancelToken
from service.errors import UnsuitableImage
from service.metrics import Metrics
from service.segmenter import Segmenter, SegmentOptions
from service.startup.models import open_model
from service.stopwatch import Stopwatch
from service.telemetry.observed import SPANS, STAGES, ObservedSegmenter
from service.telemetry.tracing import Trace
from tests.dicom_files import dicom_file
from tests.transfer_syntaxes import JPEG_2000, RLE


class Spans:
    """A trace that remembers its spans: what they are called, and why each failed."""

    def __init__(self) -> None:
        self.named: list[tuple[str, str | None]] = []
        self.headers: Mapping[str, str] = {}

    def span(
        self, name: str, begin: float, end: float, *_: object, failure: str | None = None
    ) -> None:
        assert begin <= end
        self.named.append((name, failure))


class Failing:
    """A segmenter that gets so far and no further."""

    def __init__(self, stages: int) -> None:
        self._stages, self.model = stages, SimpleNamespace(id="m")

    def segment(self, *_: object, stopwatch: Stopwatch, **__: object) -> None:
        for stage in STAGES[: self._stages]:
            stopwatch.lap(stage)
        raise UnsuitableImage("size-implausible", "It is.")


@pytest.mark.unit
@pytest.mark.parametrize("stages", range(len(STAGES) + 1))
def test_the_stage_that_failed_is_the_one_after_the_last_that_ended(stages: int) -> None:
    spans = Spans()
    observed = ObservedSegmenter(cast(Segmenter, Failing(stages)), Metrics())
    with pytest.raises(UnsuitableImage):
        observed.segment(
            b"",
            None,
            SegmentOptions(),
            source="request",
            token=CancelToken(),
            trace=cast(Trace, spans),
        )
    names = [SPANS.get(stage, stage) for stage in STAGES]
    # What fails after the last has no stage of its own.
    failed = names[min(stages, len(STAGES) - 1)]
    assert spans.named == [
        *((name, None) for name in names[:stages]),
        (failed, "size-implausible"),
    ]


@pytest.mark.integration
@pytest.mark.parametrize(("syntax", "stages"), [(RLE, STAGES[:-1]), (JPEG_2000, STAGES)])
def test_the_stages_are_the_segmenters_in_its_order(
    identity_model: Path, syntax: str, stages: tuple[str, ...]
) -> None:
    # JPEG 2000 is judged at half its resolution; a picture of unknown size wants it whole.
    body = dicom_file(syntax=syntax, PixelSpacing=[0.1, 0.1])
    spans: Any = Spans()
    with open_model(identity_model) as segmenter:
        ObservedSegmenter(segmenter, Metrics()).segment(
            body, None, SegmentOptions(), source="request", token=CancelToken(), trace=spans
        )
    assert spans.named == [(SPANS.get(stage, stage), None) for stage in stages]
