"""How far apart a mammogram's pixels are, on the patient if possible."""

import math
from dataclasses import replace
from typing import NamedTuple

from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.mammogram import Caveat, Mammogram

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 2.0
"""Bounds of a believable pixel spacing, from micro-focus detectors to thumbnails."""

MAX_MAGNIFICATION = 3.0

MAX_ASPECT = 5.0
"""Of a believable pixel, the longer side over the shorter."""

SPACING_IGNORED = Caveat(
    "spacing-ignored", "A pixel spacing in the header is not believable and was left out."
)
SPACING_UNCALIBRATED = Caveat(
    "spacing-uncalibrated",
    "The pixel spacing does not say in which plane it was measured; it was taken as it stands.",
)
SPACING_OVERRIDDEN = Caveat(
    "spacing-overridden",
    "The image states another pixel spacing than was given with it; the given one was taken.",
)
ASPECT_IGNORED = Caveat(
    "pixel-aspect-ignored",
    "The pixel aspect ratio in the header is not believable; pixels were taken as square.",
)


_OF_WHAT_IS_STATED = frozenset((SPACING_IGNORED, SPACING_UNCALIBRATED, ASPECT_IGNORED))


class PixelSize(NamedTuple):
    """What the header says of the size of a pixel; see `Mammogram` for units."""

    pixel_spacing_mm: tuple[float, float] | None
    pixel_aspect: float
    caveats: tuple[Caveat, ...]


def read_pixel_size(dataset: Dataset) -> PixelSize:
    """Read the spacing, and where there is none at least the shape of a pixel."""
    spacing, ignored = pixel_spacing(dataset)
    if spacing is not None:
        return PixelSize(spacing, 1.0, ignored)
    aspect, doubted = pixel_aspect(dataset)
    return PixelSize(None, aspect, ignored + doubted)


def with_given_spacing(mammogram: Mammogram, given: tuple[float, float]) -> Mammogram:
    """Return a mammogram with a spacing that its caller gave, (row, column) in millimetres.

    What is odd about the image's own does not matter any more; that it is another one may.
    """
    stated = mammogram.pixel_spacing_mm
    caveats = tuple(one for one in mammogram.caveats if one not in _OF_WHAT_IS_STATED)
    if stated is not None and not _same(stated, given):
        caveats += (SPACING_OVERRIDDEN,)
    return replace(mammogram, pixel_spacing_mm=given, caveats=caveats)


def pixel_spacing(
    dataset: Dataset,
) -> tuple[tuple[float, float] | None, tuple[Caveat, ...]]:
    """Find the spacing between (row, column) centres in millimetres, in the patient if possible.

    In this order (PS3.3 10.7.1.3, C.8.11.3, C.8.6.1): a Pixel Spacing that is calibrated, that
    is, says so, differs from Imager Pixel Spacing, or is a frame's Pixel Measures, which are in
    the patient (C.7.6.16.2.1); Imager Pixel Spacing, which is measured at the detector, divided by
    the magnification; Pixel Spacing alone; Nominal Scanned Pixel Spacing, the film digitiser's.
    """
    ignored: tuple[Caveat, ...] = ()
    found: dict[str, tuple[float, float]] = {}
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if keyword not in dataset or not elements.texts(dataset, keyword):
            continue
        pair = elements.numbers(dataset, keyword)
        if len(pair) == 2 and all(MIN_SPACING_MM <= mm <= MAX_SPACING_MM for mm in pair):
            found[keyword] = (pair[0], pair[1])
        else:
            ignored = (SPACING_IGNORED,)
    imager, spacing = found.get("ImagerPixelSpacing"), found.get("PixelSpacing")
    calibrated = (
        elements.text(dataset, "PixelSpacingCalibrationType") is not None
        or "PixelMeasuresSequence" in dataset
    )
    if spacing is not None and (calibrated or (imager is not None and not _same(spacing, imager))):
        return spacing, ignored
    if imager is not None:
        factor = magnification(dataset)
        return (imager[0] / factor, imager[1] / factor), ignored
    if spacing is not None:
        return spacing, (*ignored, SPACING_UNCALIBRATED)
    return found.get("NominalScannedPixelSpacing"), ignored


def _same(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


def magnification(dataset: Dataset) -> float:
    """Read how many times larger the breast is at the detector; 1 where nobody says.

    Estimated Radiographic Magnification Factor is by definition Distance Source to Detector over
    Distance Source to Patient (PS3.3 C.8.7.6, C.8.11.5): these stand in for it where it is absent,
    not believable, or 1, which is also written where it is not known.
    """
    factor = elements.number(dataset, "EstimatedRadiographicMagnificationFactor")
    if factor is not None and 1.0 < factor <= MAX_MAGNIFICATION:
        return factor
    detector = elements.number(dataset, "DistanceSourceToDetector")
    patient = elements.number(dataset, "DistanceSourceToPatient")
    if detector is None or patient is None or patient <= 0:
        return 1.0
    ratio = detector / patient
    return ratio if 1.0 <= ratio <= MAX_MAGNIFICATION else 1.0


def pixel_aspect(dataset: Dataset) -> tuple[float, tuple[Caveat, ...]]:
    """Read Pixel Aspect Ratio, a pixel's height to its width (PS3.3 C.7.6.3.1.7); 1 without one."""
    if not elements.texts(dataset, "PixelAspectRatio"):
        return 1.0, ()
    pair = elements.numbers(dataset, "PixelAspectRatio")
    if len(pair) == 2 and min(pair) > 0:
        aspect = pair[0] / pair[1]
        if 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
            return aspect, ()
    return 1.0, (ASPECT_IGNORED,)


def spacing_or_assumed(
    mammogram: Mammogram, long_side_mm: float
) -> tuple[tuple[float, float], bool]:
    """Return the image's spacing, or one that makes its long side `long_side_mm`.

    Returns
    -------
    spacing
        Millimetres between (row, column) centres; where assumed, of the image's pixel aspect.
    assumed
        True when the image states none.
    """
    if mammogram.pixel_spacing_mm is not None:
        return mammogram.pixel_spacing_mm, False
    aspect = mammogram.pixel_aspect
    column_mm = long_side_mm / max(mammogram.rows * aspect, mammogram.columns)
    return (column_mm * aspect, column_mm), True
