"""The breast's box, brought to the model's pixel spacing and range."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box, Breast
from service.imaging.mammogram import Mammogram
from service.imaging.normalise import Normalisation, normalise


@dataclass(frozen=True, slots=True, eq=False)
class WorkingImage:
    """What is cut into tiles.

    Attributes
    ----------
    pixels
        float32, shape (rows, columns) at the working spacing, in the net's range.
    breast
        bool, same shape.
    box
        The rectangle of the source image that `pixels` covers, edge to edge.
    source_shape
        (rows, columns) of the source image.
    """

    pixels: NDArray[np.float32]
    breast: NDArray[np.bool_]
    box: Box
    source_shape: tuple[int, int]


def to_working_grid(
    mammogram: Mammogram,
    breast: Breast,
    *,
    source_spacing_mm: tuple[float, float],
    working_mm: float,
    normalisation: Normalisation,
) -> WorkingImage:
    """Crop to the breast's box, resample by area to `working_mm`, normalise.

    Parameters
    ----------
    mammogram, breast
        The image and its region.
    source_spacing_mm
        Millimetres between (row, column) centres, known or assumed.
    working_mm
        The model's spacing, the same along rows and columns.
    normalisation
        The contract's constants.
    """
    box = breast.box
    shape = (
        max(1, round(box.rows * source_spacing_mm[0] / working_mm)),
        max(1, round(box.columns * source_spacing_mm[1] / working_mm)),
    )
    crop = mammogram.pixels[box.top : box.bottom, box.left : box.right]
    region = breast.on_grid((mammogram.rows, mammogram.columns), shape)
    return WorkingImage(
        pixels=normalise(resize(crop, shape), region, normalisation),
        breast=region,
        box=box,
        source_shape=(mammogram.rows, mammogram.columns),
    )


def resize(pixels: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Resample to `shape` (rows, columns), edges aligned: area mean when shrinking, else linear."""
    pixels = _halved(pixels, shape)
    # An axis at a time where one shrinks and the other grows: no linear step may skip pixels.
    smaller = (min(shape[0], pixels.shape[0]), min(shape[1], pixels.shape[1]))
    if smaller != pixels.shape:
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != shape:
        pixels = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return pixels


def _halved(pixels: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Halve as often as at least as much again is left to shrink.

    OpenCV averages blocks of 2 x 2 about seven times as fast as areas of a fractional size. Of odd
    sides that would leave something out, and move the edges.
    """
    rows, columns = pixels.shape
    while rows >= 4 * shape[0] and columns >= 4 * shape[1] and not (rows % 2 or columns % 2):
        rows, columns = rows // 2, columns // 2
        pixels = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return pixels
