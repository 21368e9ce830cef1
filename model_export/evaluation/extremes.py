"""The highest-ranked of what passes by, kept with what was made of them."""

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=str)
Kept = TypeVar("Kept")


class Extremes(Generic[Kind, Kept]):
    """Keeps the highest-ranked of each source and kind, so memory is bounded."""

    def __init__(self) -> None:
        self._heaps: dict[tuple[str, Kind], list[tuple[float, int, Kept]]] = {}
        self._turn = count()

    def offer(
        self, key: tuple[str, Kind], rank: float, most: int, make: Callable[[], Kept]
    ) -> None:
        """Make and keep one if it is among the `most` highest of its source and kind so far.

        Of equal ones the earlier stays.
        """
        heap = self._heaps.setdefault(key, [])
        if len(heap) < most or rank > heap[0][0]:
            heapq.heappush(heap, (rank, -next(self._turn), make()))
            if len(heap) > most:
                heapq.heappop(heap)

    def ranked(self) -> Iterator[tuple[tuple[str, Kind], list[Kept]]]:
        """Yield each source and kind, in ascending order, with its own, the highest first."""
        for key in sorted(self._heaps):
            heap = sorted(self._heaps[key], key=lambda entry: entry[:2], reverse=True)
            yield key, [kept for _, _, kept in heap]
