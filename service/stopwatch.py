"""How long each stage of one image took."""

import time
from collections.abc import Iterator


class Stopwatch:
    """A stopwatch with named laps, in milliseconds."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End `stage`: what passed since the last lap is its time."""
        now = time.perf_counter()
        self._laps[stage] = (now - self._last) * 1e3
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        """Return the laps so far, and their `total`, rounded to 0.1 ms."""
        total = (self._last - self._start) * 1e3
        return {stage: round(took, 1) for stage, took in (self._laps | {"total": total}).items()}

    def spans(self) -> Iterator[tuple[str, float, float]]:
        """Yield each lap so far: its stage, and its begin and end by `time.perf_counter`."""
        begin = self._start
        for stage, took in self._laps.items():
            yield stage, begin, begin + took / 1e3
            begin += took / 1e3

    def open_span(self) -> tuple[float, float]:
        """Return the last lap's end and now: what is under way has taken since then."""
        return self._last, time.perf_counter()
