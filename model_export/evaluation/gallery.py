"""The worst images, kept as pictures while all pass by."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.extremes import Extremes
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.pictures import side_by_side
from service.findings import Findings

Kind = Literal[
    "lowest Dice", "highest-scored negatives", "lowest-scored positives", "truth unknown"
]

KEPT = 6
"""Of each kind and source."""

KEPT_UNKNOWN = 16
"""Of a source without truth."""


@dataclass(frozen=True, slots=True)
class Case:
    """One picture: `jpeg` holds the file."""

    kind: Kind
    image: ImageResult
    jpeg: bytes


class Gallery:
    """Keeps the worst of each kind; memory is bounded whatever passes by."""

    def __init__(self) -> None:
        self._kept = Extremes[Kind, Case]()

    def offer(
        self, image: ImageResult, findings: Findings, lesion: NDArray[np.bool_] | None
    ) -> None:
        """Draw an image if it is among the worst so far."""
        for kind, badness in _badness(image):
            self._kept.offer(
                (image.source, kind),
                badness,
                KEPT_UNKNOWN if kind == "truth unknown" else KEPT,
                partial(_case, kind, image, findings, lesion),
            )

    def cases(self) -> list[Case]:
        """Return all that were kept, by source and kind, the worst first."""
        return [case for _, cases in self._kept.ranked() for case in cases]


def _case(
    kind: Kind, image: ImageResult, findings: Findings, lesion: NDArray[np.bool_] | None
) -> Case:
    return Case(kind, image, side_by_side(findings, lesion))


def _badness(image: ImageResult) -> Iterator[tuple[Kind, float]]:
    if image.has_lesion is None:
        yield "truth unknown", image.score
        return
    if image.dice is not None:
        yield "lowest Dice", -image.dice
    if image.has_lesion:
        yield "lowest-scored positives", -image.score
    else:
        yield "highest-scored negatives", image.score
