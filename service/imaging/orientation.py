"""How a mammogram lies: where its rows and columns point, and how it is turned upright.

Nets learn from images that hang as radiologists hang them: the head, or of a craniocaudal view the
breast's outer side, on top. A file may hold its pixels in any of eight ways; Patient Orientation
says in which (PS3.3 C.7.6.1.1.1), or Image Orientation (C.7.6.2.1.1), which frames of a
tomosynthesis have in its place (C.7.6.16.2.4). Which side the chest wall is on does not matter.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.mammogram import Laterality, PatientOrientation

Scalar = TypeVar("Scalar", bound=np.generic)

_DIRECTION = re.compile("[AFHLPR]{1,3}")
_OPPOSITES = ("AP", "RL", "HF")


class Turn(NamedTuple):
    """One of the eight ways to turn and mirror an image: first transposed, then flipped.

    Attributes
    ----------
    transposed
        Rows become columns.
    upside_down
        The last row becomes the first.
    mirrored
        The last column becomes the first.
    """

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def apply(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return an array turned by its last two axes: C-contiguous, itself where nothing turns."""
        if self.transposed:
            values = np.swapaxes(values, -1, -2)
        return np.ascontiguousarray(self._flipped(values))

    def undo(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return what `apply` was given."""
        values = self._flipped(values)
        if self.transposed:
            values = np.swapaxes(values, -1, -2)
        return np.ascontiguousarray(values)

    def _flipped(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        rows = slice(None, None, -1 if self.upside_down else 1)
        columns = slice(None, None, -1 if self.mirrored else 1)
        return values[..., rows, columns]


AS_STORED = Turn()

_AXES = (("H", "F", 2), ("P", "A", 1), ("L", "R", 0))
"""Letters of the positive and the negative direction, and the axis (PS3.3 C.7.6.2.1.1). Of equal
parts, head and foot come first: they say what is up without the side."""

MIN_COSINE = 0.1
"""A smaller part of a direction is not named: six degrees."""

TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
"""Breast Tomosynthesis Image Storage."""

CT = "1.2.840.10008.5.1.4.1.1.2"
"""CT Image Storage, in which sites keep slices of a tomosynthesis that nothing else would show."""

TOLERANCE = 0.05
"""By how much directions may miss length one, and each other's right angle."""


def of_biped(dataset: Dataset) -> PatientOrientation | None:
    """Read where rows and columns point; None of an animal, where letters mean other things."""
    is_animal = elements.text(dataset, "AnatomicalOrientationType") == "QUADRUPED"
    return None if is_animal else patient_orientation(dataset) or image_orientation(dataset)


def patient_orientation(dataset: Dataset) -> PatientOrientation | None:
    """Read where rows and columns point; None where two directions are not stated.

    CBIS-DDSM puts the view there, which is no direction.
    """
    directions = elements.texts(dataset, "PatientOrientation")
    if len(directions) != 2 or not all(map(_is_direction, directions)):
        return None
    return directions[0], directions[1]


def image_orientation(dataset: Dataset) -> PatientOrientation | None:
    """Read where rows and columns of a tomosynthesis point; None where that is not stated.

    Other mammograms have no plane in the patient (PS3.3 A.26, A.27), and yet 1, 0, 0, 0, 1, 0 where
    a toolkit wrote its default. In a slice that was made a CT, that is a default as well: see
    `_is_default`.
    """
    cosines = elements.numbers(dataset, "ImageOrientationPatient")
    sop_class = elements.uid(dataset, "SOPClassUID")
    if len(cosines) != 6 or sop_class not in (TOMOSYNTHESIS, CT):
        return None
    if sop_class == CT and _is_default(cosines):
        return None
    along_rows, along_columns = cosines[:3], cosines[3:]
    lengths = math.hypot(*along_rows), math.hypot(*along_columns)
    slant = sum(a * b for a, b in zip(along_rows, along_columns, strict=True))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(slant)) > TOLERANCE:
        return None
    return _letters(along_rows), _letters(along_columns)


def _is_default(cosines: Sequence[float]) -> bool:
    """Tell whether directions are the first two axes, of either sign, but for rounding.

    So they come from toolkits: 1, 0, 0, 0, 1, 0 where none was known, and -1, 0, 0, 0, -1, 0 by way
    of NIfTI, whose axes point the other way.
    """
    sizes = zip(map(abs, cosines), (1, 0, 0, 0, 1, 0), strict=True)
    return all(abs(size - axis) <= TOLERANCE for size, axis in sizes)


def _letters(cosines: tuple[float, ...]) -> str:
    """Return the letters of a direction, the largest part first."""
    parts = [
        (round(abs(cosines[axis]), 2), axis, positive, negative)
        for positive, negative, axis in _AXES
    ]
    parts.sort(key=lambda part: -part[0])
    return "".join(
        positive if cosines[axis] > 0 else negative
        for size, axis, positive, negative in parts
        if size >= MIN_COSINE
    )


def _is_direction(value: str) -> bool:
    """Tell whether a value is a direction: up to three letters, the foremost first."""
    return (
        _DIRECTION.fullmatch(value) is not None
        and len(set(value)) == len(value)
        and not any(set(pair) <= set(value) for pair in _OPPOSITES)
    )


def upright(orientation: PatientOrientation | None, laterality: Laterality | None) -> Turn:
    """Return how an image is turned upright; not at all where it does not say how it lies.

    A mammogram shows the breast from back to front one way, and from head to foot (MLO and lateral
    views), or from one side to the other (CC), the other way.

    Parameters
    ----------
    orientation
        Where rows and columns point.
    laterality
        Which breast it is: decides which way a craniocaudal view is turned.
    """
    if orientation is None:
        return AS_STORED
    along_rows, along_columns = orientation
    if along_rows[0] in "AP" and along_columns[0] not in "AP":
        return Turn(upside_down=_points_up(along_columns[0], laterality))
    if along_columns[0] in "AP" and along_rows[0] not in "AP":
        return Turn(transposed=True, upside_down=_points_up(along_rows[0], laterality))
    return AS_STORED


def _points_up(direction: str, laterality: Laterality | None) -> bool:
    """Tell whether a direction is upwards: to the head, or to the breast's own side."""
    return direction in ("H", laterality)
