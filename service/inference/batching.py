"""How many tiles go to the device at once, and how long it waits for more of them."""

from service.capacity.ewma import Ewma
from service.inference.device import Device

ON_GPU = (1, 2, 4, 8, 16)
BATCH_SIZES: dict[Device, tuple[int, ...]] = {"cpu": (1,), "cuda": ON_GPU, "tensorrt": ON_GPU}
"""The only batch sizes ever run, by device; all are warmed before the first request. On a CPU
batching hurts: four tiles at once took 1.6 times as long as one after the other."""

MAX_DELAY_S = 0.002
"""Longest wait, in seconds. A GPU takes about as long for a tile: a longer wait would cost more
than a fuller batch saves."""

MEMORY = 0.2
"""Weight of the newest gap in the running mean."""


class ArrivalRate:
    """Knows how fast tiles arrive, and so whether it pays to wait for the next."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap_s = Ewma(MEMORY)

    def arrived(self, count: int, now: float) -> None:
        """Note that so many tiles came, at a monotonic time in seconds."""
        # The gap before the first arrival is not known.
        if self._last is not None:
            self._gap_s.update((now - self._last) / count)
        self._last = now

    def delay_s(self, waiting: int, largest: int) -> float:
        """Return how long to wait for more, in seconds: 0 where none is likely to come in time."""
        gap_s = self._gap_s.value
        if waiting >= largest or gap_s is None or gap_s > MAX_DELAY_S:
            return 0.0
        return min(MAX_DELAY_S, (largest - waiting) * gap_s)
