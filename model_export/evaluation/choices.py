"""Which of the evaluated images a figure can be counted over."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.datasets import Annotation
from model_export.evaluation.image_result import ImageResult, OutlineResult

OUTLINES: dict[str, tuple[Annotation, ...]] = {
    "": ("pixel_mask",),
    "_pseudo": ("pseudo_outline",),
    "_rough": ("circle", "box"),
}
"""Ending of a figure's key to what its Dice was measured against: outlines drawn by people;
outlines that a net drew in a given box; circles and boxes. They are never averaged together."""


def by_source(images: Sequence[ImageResult]) -> dict[str, list[ImageResult]]:
    """Return the images of each source, in alphabetical order."""
    sources = sorted({image.source for image in images})
    return {name: [image for image in images if image.source == name] for name in sources}


def told_of(images: Sequence[ImageResult]) -> list[ImageResult]:
    """Return those of which it is known whether they hold a lesion."""
    return [image for image in images if image.has_lesion is not None]


def searched_of(images: Sequence[ImageResult]) -> list[ImageResult]:
    """Return those where every lesion is outlined, lesion-free ones included."""
    return [image for image in images if image.outlined is not None]


def with_lesions(images: Sequence[ImageResult]) -> list[ImageResult]:
    """Return those with outlined lesions."""
    return [image for image in images if image.dice is not None]


def with_outlines(images: Sequence[ImageResult], ending: str) -> list[ImageResult]:
    """Return those with lesions outlined in the way that an ending of `OUTLINES` names."""
    return [image for image in with_lesions(images) if image.annotation in OUTLINES[ending]]


def has_both_classes(images: Sequence[ImageResult]) -> bool:
    """Say whether images with and without lesions are among those of known truth."""
    return len({image.has_lesion for image in told_of(images)}) == 2


def scores_and_labels(
    images: Sequence[ImageResult],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return has-mask scores (float64) and whether there is a lesion (bool), both (images,)."""
    return (
        np.array([image.score for image in images]),
        np.array([bool(image.has_lesion) for image in images]),
    )


def outlined(image: ImageResult) -> OutlineResult:
    """Return the comparison with the outline.

    Raises
    ------
    ValueError
        Nobody drew.
    """
    if image.outlined is None:
        raise ValueError(f"{image.name} has no outline")
    return image.outlined
