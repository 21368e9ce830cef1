"""What is known of one image's lesions, out of its mask and all files that speak of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.annotations.drawing import Drawn, are_same
from model_export.datasets.sample import Annotation, LesionBox
from model_export.datasets.tables import DatasetError

MIN_PIECE_MM2 = 1.0
"""Smaller pieces of a mask are slips of the pen; boxes need not hold them."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """As the fields of `Sample` of the same names; `where` is the file that says it."""

    where: str
    annotation: Annotation
    lesion: NDArray[np.bool_]
    boxes: tuple[LesionBox, ...]
    pathology: str | None


def combine(
    mask: tuple[str, NDArray[np.bool_]] | None, drawn: Sequence[Drawn], pixel_mm2: float
) -> Truth | None:
    """Return what mask and files say together, None if there are neither.

    A mask is taken before outlines of a file, and these before boxes; labels are united. One lesion
    that is known by its box alone makes the image's annotation "box".

    Parameters
    ----------
    mask
        Its file's name, and the mask.
    drawn
        One for each file that speaks of the image.
    pixel_mm2
        Area of a pixel.

    Raises
    ------
    DatasetError
        Two of them contradict each other; the message names both.
    """
    for first, second in pairwise(drawn):
        if not are_same(first.boxes, second.boxes):
            raise DatasetError(
                f"{first.where} and {second.where} contradict each other: {len(first.boxes)} and "
                f"{len(second.boxes)} lesions, or at other places"
            )
    best = max(drawn, key=lambda one: sum(one.outlined), default=None)
    labels = sorted({label for one in drawn for label in one.labels})
    pathology = "|".join(labels) or None
    boxes = best.boxes if best is not None else ()
    if mask is not None:
        if best is not None:
            _check(*mask, best, pixel_mm2)
        name, lesion = mask
        kind: Annotation = "pixel_mask" if lesion.any() else "normal"
        return Truth(name, kind, lesion, boxes, pathology)
    if best is None:
        return None
    kind = "normal" if not boxes else "pixel_mask" if all(best.outlined) else "box"
    return Truth(best.where, kind, best.lesion, boxes, pathology)


def _check(name: str, mask: NDArray[np.bool_], drawn: Drawn, pixel_mm2: float) -> None:
    """Refuse a mask with a lesion in no box, and a box without any of the mask."""
    outside = np.ones(mask.shape, np.bool_)
    for box in drawn.boxes:
        rows = slice(int(box.y), int(np.ceil(box.y + box.height)))
        columns = slice(int(box.x), int(np.ceil(box.x + box.width)))
        outside[rows, columns] = False
        if not mask[rows, columns].any():
            raise DatasetError(
                f"{name} contradicts {drawn.where}: nothing is white in the box at "
                f"x {box.x:.1f}, y {box.y:.1f}"
            )
    count, pieces, facts, centres = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    in_a_box = set(np.unique(pieces[~outside]).tolist())
    for piece in range(1, count):
        area = float(facts[piece, cv2.CC_STAT_AREA]) * pixel_mm2
        if piece not in in_a_box and area >= MIN_PIECE_MM2:
            x, y = centres[piece]
            raise DatasetError(
                f"{name} contradicts {drawn.where}: the lesion around x {x:.1f}, y {y:.1f} is in "
                "no box"
            )
