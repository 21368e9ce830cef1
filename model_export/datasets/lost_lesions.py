"""Lesions that were drawn and are nowhere on the working grid: finer than half of its pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


class Kept(NamedTuple):
    """How many lesions were drawn in an image, and how many of them have nothing on the grid."""

    drawn: int = 0
    lost: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether nothing is left of any."""
        return 0 < self.drawn == self.lost


NONE_DRAWN = Kept()


class Counted(Protocol):
    """An image of a source, whose lesions were counted."""

    @property
    def source(self) -> str:
        """As in `Sample`."""

    @property
    def kept(self) -> Kept:
        """Of its lesions."""


@dataclass(slots=True)
class _Tally:
    images: int = 0
    without: int = 0
    drawn: int = 0
    lost: int = 0


def kept_of(lesion: NDArray[np.bool_], grid: NDArray[np.bool_]) -> Kept:
    """Count the pieces of a mask, and those under which no pixel of the grid is set.

    Parameters
    ----------
    lesion
        As drawn, bool, shape (rows, columns).
    grid
        The same part of the image on the grid, bool, of any shape.
    """
    count, pieces = cv2.connectedComponents(lesion.astype(np.uint8), connectivity=8)
    shape = (lesion.shape[1], lesion.shape[0])
    covered = cv2.resize(grid.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST) > 0
    found = np.unique(pieces[covered & lesion])
    return Kept(count - 1, count - 1 - len(found))


def remarks_on_lost(images: Iterable[Counted], working_mm: float) -> list[str]:
    """Return, for each source that loses any, how many lesions the grid does not hold."""
    tallies: dict[str, _Tally] = {}
    for one in images:
        tally = tallies.setdefault(one.source, _Tally())
        tally.images += one.kept.drawn > 0
        tally.without += one.kept.is_lost
        tally.drawn += one.kept.drawn
        tally.lost += one.kept.lost
    return [_told(source, one, working_mm) for source, one in tallies.items() if one.lost]


def _told(source: str, tally: _Tally, working_mm: float) -> str:
    return (
        f"{source}: {tally.lost} of {tally.drawn} drawn lesions have nothing left on the grid of "
        f"{working_mm:g} mm. Of {tally.without} of {tally.images} images no lesion is left: "
        "they teach that a lesion is in them, and nothing of where, and choose nothing by "
        "outlines. A smaller working_mm keeps finer ones."
    )
