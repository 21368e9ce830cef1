"""The breast's box, brought to the model's pixel spacing and range."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.imaging.breast import Box, Breast, find_breast
from service.imaging.mammogram import Mammogram
from service.imaging.normalise import (
    FULL,
    Normalisation,
    WholeImage,
    normalise,
    normalise_whole,
)
from service.imaging.orientation import Turn
from service.imaging.pyramid import Pyramid, halved

MIN_SHRINKING = 3.9
"""An image that is to shrink by at least this factor is halved first. Not 4: by rounding, sides at
0.1 mm come out at 3.99 to 4.01 times those at 0.4 mm, and all images of such a detector shall be
treated alike."""


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
    saturated
        Share of the breast, in [0, 1], that has the brightest value there is.
    """

    pixels: NDArray[np.float32]
    breast: NDArray[np.bool_]
    box: Box
    source_shape: tuple[int, int]
    saturated: float = 0.0

    def turned(self, turn: Turn) -> "WorkingImage":
        """Return it turned; the box stays the source's own."""
        return replace(self, pixels=turn.apply(self.pixels), breast=turn.apply(self.breast))


def to_working_grid(
    mammogram: Mammogram,
    breast: Breast,
    *,
    source_spacing_mm: tuple[float, float],
    working_mm: float,
    normalisation: Normalisation | WholeImage,
    pyramid: Pyramid | None = None,
) -> WorkingImage:
    """Crop to the breast's box, resample by area to `working_mm`, normalise.

    A normalisation of the whole image says itself what is cropped to.

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
    pyramid
        Of the image's pixels, where others need them as well.
    """
    if isinstance(normalisation, WholeImage):
        breast = replace(breast, box=_region(mammogram.pixels, normalisation))
    box = breast.box
    shape = (
        max(1, round(box.rows * source_spacing_mm[0] / working_mm)),
        max(1, round(box.columns * source_spacing_mm[1] / working_mm)),
    )
    crop = _cropped(pyramid or Pyramid(mammogram.pixels), box, shape)
    region = breast.on_grid((mammogram.rows, mammogram.columns), shape)
    working = resize(crop, shape)
    if isinstance(normalisation, WholeImage):
        own = mammogram.pixels[box.top : box.bottom, box.left : box.right]
        pixels = normalise_whole(working, own, normalisation)
    else:
        pixels = normalise(working, region, normalisation)
    return WorkingImage(
        pixels=pixels,
        breast=region,
        box=box,
        source_shape=(mammogram.rows, mammogram.columns),
        saturated=_saturated(working, region),
    )


def _saturated(pixels: NDArray[np.uint16], breast: NDArray[np.bool_]) -> float:
    """Return the share of the breast that has the brightest value there is; 0 of no breast.

    A pixel of the working grid is the mean of many: it is as bright only where all of them are.
    """
    white = np.count_nonzero((pixels == FULL) & breast)
    return float(white / max(1, int(np.count_nonzero(breast))))


def _region(pixels: NDArray[np.uint16], spec: WholeImage) -> Box:
    """Return what of the image a net of another framework is shown."""
    rows, columns = pixels.shape
    if spec.region == "nonzero":
        by_row = np.flatnonzero(np.any(pixels, axis=1))
        by_column = np.flatnonzero(np.any(pixels, axis=0))
        if by_row.size:
            return Box(
                int(by_row[0]), int(by_column[0]), int(by_row[-1]) + 1, int(by_column[-1]) + 1
            )
    return Box(0, 0, rows, columns)


def breast_on_working_grid(
    mammogram: Mammogram,
    *,
    source_spacing_mm: tuple[float, float],
    working_mm: float,
    normalisation: Normalisation | WholeImage,
) -> tuple[Breast, WorkingImage]:
    """Find the breast and bring it to the working grid, which `Segmenter` does step by step.

    Parameters are those of `to_working_grid`.
    """
    breast = find_breast(mammogram.pixels)
    working = to_working_grid(
        mammogram,
        breast,
        source_spacing_mm=source_spacing_mm,
        working_mm=working_mm,
        normalisation=normalisation,
    )
    return breast, working


def _cropped(pyramid: Pyramid, box: Box, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Crop to the box; take the halved image where `resize` to `shape` would halve first."""
    if _may_halve((box.rows, box.columns), shape) and not (box.top % 2 or box.left % 2):
        half = pyramid.level(1)
        return half[box.top // 2 : box.bottom // 2, box.left // 2 : box.right // 2]
    return pyramid.level(0)[box.top : box.bottom, box.left : box.right]


def resize(pixels: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Resample uint16 to `shape` (rows, columns), edges aligned.

    The mean over areas where a side shrinks, else linear.
    """
    pixels = _halved(pixels, shape)
    # Where one axis shrinks and the other grows, they take separate steps: linear interpolation
    # alone would skip pixels of the axis that shrinks.
    smaller = (min(shape[0], pixels.shape[0]), min(shape[1], pixels.shape[1]))
    if smaller != pixels.shape:
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != shape:
        pixels = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return pixels


def _halved(pixels: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Halve while the image must still shrink by about four times or more."""
    while _may_halve(pixels.shape, shape):
        pixels = halved(pixels)
    return pixels


def _may_halve(size: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Tell whether to halve: much is left to shrink, and no side is odd, whose edge would move."""
    return all(
        length >= MIN_SHRINKING * wanted and length % 2 == 0
        for length, wanted in zip(size, shape, strict=True)
    )
