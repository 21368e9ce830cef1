"""A model under its name: the file's version of the moment, and those that still answer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.inference.net import Net
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.system.heap import give_back
from service.telemetry.observed import ObservedSegmenter
from service.telemetry.tracing import Trace

log = structlog.get_logger("mammoseg")


@dataclass(slots=True, eq=False)
class _Version:
    """One file's net, and how many use it now."""

    observed: ObservedSegmenter
    users: int = 0
    replaced: bool = False

    @property
    def net(self) -> Net:
        return self.observed.segmenter.net

    @property
    def is_idle(self) -> bool:
        return self.replaced and not self.users


class ServedModel:
    """Answers with the newest version; a replaced one ends with its last answer.

    For several threads; see `Observed`.

    Parameters
    ----------
    path
        The model's file.
    segmenter
        Open.
    observe
        Returns a segmenter as it is watched.
    """

    def __init__(
        self, path: Path, segmenter: Segmenter, observe: Callable[[Segmenter], ObservedSegmenter]
    ) -> None:
        self.path, self.id = path, segmenter.model.id
        self._observe = observe
        self._lock = threading.Lock()
        self._current = _Version(observe(segmenter))
        self._open, self._closed_net_seconds = [self._current], 0.0
        self.card: str | None = None
        self.read_card()

    @property
    def segmenter(self) -> Segmenter:
        """The version of the moment: for what is asked of it, not for what takes time."""
        return self._current.observed.segmenter

    @property
    def metrics(self) -> Metrics:
        """Where it is counted."""
        return self._current.observed.metrics

    @property
    def net_seconds(self) -> float:
        """CPU time in the nets of all its versions, in seconds."""
        with self._lock:
            return self._closed_net_seconds + sum(net.net_seconds for net in self._nets())

    @property
    def tiles_waiting(self) -> int:
        """How many tiles no runner has taken, of versions that still answer, too."""
        with self._lock:
            return sum(net.waiting for net in self._nets())

    @property
    def failed(self) -> bool:
        """Whether the device failed for good, under any version that is open."""
        with self._lock:
            return any(net.failed for net in self._nets())

    @contextmanager
    def version(self) -> Iterator[ObservedSegmenter]:
        """Hold the version of the moment: it stays open while in the context."""
        with self._lock:
            version = self._current
            version.users += 1
        try:
            yield version.observed
        finally:
            with self._lock:
                version.users -= 1
                ends = version.is_idle
            if ends:
                self._close(version)

    def stage(self, name: str, trace: Trace) -> AbstractContextManager[None]:
        """Count and trace what is done in the context; as `ObservedSegmenter.stage`."""
        return self._current.observed.stage(name, trace)

    def replace(self, segmenter: Segmenter) -> None:
        """Let whoever asks from now on have another version, open and proven."""
        version = _Version(self._observe(segmenter))
        self.read_card()
        with self._lock:
            before, self._current = self._current, version
            self._open.append(version)
            before.replaced = True
            ends = before.is_idle
        if ends:
            self._close(before)

    def read_card(self) -> bool:
        """Read the card anew; tell whether it is another than before."""
        before, self.card = self.card, _card_beside(self.path)
        return self.card != before

    def close(self) -> None:
        """Answer what waits, then stop; the reader, which models share, stays open."""
        self.segmenter.net.close()

    def _close(self, version: _Version) -> None:
        """Close a net that nobody uses; its time in the processor is not forgotten."""
        version.net.close()
        with self._lock:
            self._open.remove(version)
            self._closed_net_seconds += version.net.net_seconds
        # Its weights lie between blocks that are in use.
        give_back()
        log.info("model-closed", model=self.id, sha256=version.observed.segmenter.model.sha256)

    def _nets(self) -> Iterator[Net]:
        return (version.net for version in self._open)


def card_paths(path: Path) -> tuple[Path, Path]:
    """Return where a model's card may lie: under its own name, else its folder's."""
    return path.with_suffix(".md"), path.parent / "MODEL_CARD.md"


def _card_beside(path: Path) -> str | None:
    """Return the card of a model in Markdown, the first that is there; None without.

    No model is refused for its card: what is no UTF-8 in it is replaced, and one that cannot be
    read is none.
    """
    for card in card_paths(path):
        try:
            if card.is_file():
                return card.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            log.warning("model-card-unreadable", file=card.name, error=type(error).__name__)
            return None
    return None
