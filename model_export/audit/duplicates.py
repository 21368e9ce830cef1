"""Images that are nearly the same, and patients that are on two sides of the split."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.audit.survey import ImageSurvey
from model_export.datasets.splits import Split

CHUNK = 512
"""Images compared with all others at a time: 2 MB of distances a thousand images."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two images and the cosine distance of their block histograms."""

    first: ImageSurvey
    second: ImageSurvey
    distance: float

    @property
    def same_patient(self) -> bool:
        """Whether both are of one patient."""
        return self.first.owner == self.second.owner

    @property
    def contradictory(self) -> bool:
        """Whether one is labelled with a lesion and the other without."""
        return self.first.has_lesion != self.second.has_lesion

    @property
    def across_splits(self) -> bool:
        """Whether one may train what the other judges."""
        return self.first.split != self.second.split


def closest(images: Sequence[ImageSurvey], below: float) -> list[Pair]:
    """Return all pairs of images whose distance is below a bound, the closest first."""
    if not images:
        return []
    blocks = np.stack([image.blocks for image in images])
    found = [_chunk(blocks, start, below) for start in range(0, len(images), CHUNK)]
    pairs = [
        Pair(images[first], images[second], distance)
        for chunk in found
        for first, second, distance in chunk
    ]
    return sorted(pairs, key=lambda pair: pair.distance)


def _chunk(blocks: NDArray[np.float32], start: int, below: float) -> list[tuple[int, int, float]]:
    """Compare some images with themselves and all after them."""
    distances = 1.0 - blocks[start : start + CHUNK] @ blocks[start:].T
    rows, columns = np.nonzero(np.triu(distances < below, k=1))
    return [
        (start + int(row), start + int(column), max(0.0, float(distances[row, column])))
        for row, column in zip(rows, columns, strict=True)
    ]


def shared_patients(images: Sequence[ImageSurvey]) -> dict[tuple[str, str], set[Split]]:
    """Return the patients of each source whose images are on more than one side of the split.

    Identifiers that differ only in case or in spaces around them count as one patient's.
    """
    sides: dict[tuple[str, str], set[Split]] = defaultdict(set)
    for image in images:
        sides[image.source, image.patient.strip().casefold()].add(image.split)
    return {owner: splits for owner, splits in sides.items() if len(splits) > 1}
