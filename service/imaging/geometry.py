"""Where a mammogram's pixels lie on the patient: spacing, laterality, view, and what it is for."""

import math
from typing import NamedTuple

from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.mammogram import Caveat, Intent, Laterality, Mammogram

SMALLEST_MM, LARGEST_MM = 0.01, 2.0
"""Bounds of a believable pixel spacing, from micro-focus detectors to thumbnails."""

LARGEST_MAGNIFICATION = 3.0

SPACING_IGNORED = Caveat(
    "spacing-ignored", "A pixel spacing in the header is not believable and was left out."
)
SPACING_UNCALIBRATED = Caveat(
    "spacing-uncalibrated",
    "The pixel spacing does not say in which plane it was measured; it was taken as it stands.",
)
UID_IGNORED = Caveat(
    "uid-ignored", "The SOP Instance UID breaks the rules of DICOM and was left out."
)
BURNED_IN = Caveat("burned-in-annotation", "The image says that text is burned into its pixels.")
IMPLANT = Caveat("implant", "The image shows an implant, which the model may mistake.")
SPECIAL_VIEW = Caveat(
    "special-view", "This is a spot, magnification or other special view, not a screening view."
)

_FILM_CONVERSIONS = ("DF", "WSD")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"

_VIEWS = {
    # PS3.16 CID 4014, as SNOMED CT identifiers and the SNOMED-RT ones of older files.
    **dict.fromkeys(("399162004", "R-10242"), "CC"),
    **dict.fromkeys(("399368009", "R-10226"), "MLO"),
    **dict.fromkeys(("399260004", "R-10224"), "ML"),
    **dict.fromkeys(("399352003", "R-10228"), "LM"),
    **dict.fromkeys(("399099002", "R-10230"), "LMO"),
    **dict.fromkeys(("399196006", "R-10244"), "FB"),
    **dict.fromkeys(("399188001", "R-102D0"), "SIO"),
    **dict.fromkeys(("441555000", "R-40AAA"), "ISO"),
    **dict.fromkeys(("399192008", "R-1024A"), "XCCL"),
    **dict.fromkeys(("399101009", "R-1024B"), "XCCM"),
}

_SPECIAL_MODIFIERS = frozenset(
    # PS3.16 CID 4015: spot compression, magnification, tangential, cleavage, axillary tail.
    (
        *("399055006", "R-102D7", "399163009", "R-102D6", "399110001", "R-102C2"),
        *("399161006", "R-102D2", "399011000", "R-102D1"),
    )
)


class Geometry(NamedTuple):
    """What the header says of the image's place; see `Mammogram` for units."""

    pixel_spacing_mm: tuple[float, float] | None
    laterality: Laterality | None
    view_position: str | None
    caveats: tuple[Caveat, ...]


def read_geometry(dataset: Dataset) -> Geometry:
    """Read spacing, laterality and view, and what else the reader of the answer should know."""
    spacing, caveats = pixel_spacing(dataset)
    return Geometry(
        spacing, laterality(dataset), view_position(dataset), caveats + _oddities(dataset)
    )


def pixel_spacing(
    dataset: Dataset,
) -> tuple[tuple[float, float] | None, tuple[Caveat, ...]]:
    """Find the spacing between (row, column) centres in millimetres, in the patient if possible.

    In this order (PS3.3 10.7.1.3, C.8.11.3, C.8.6.1): a Pixel Spacing that is calibrated, that
    is, says so or differs from Imager Pixel Spacing; Imager Pixel Spacing, which is measured at
    the detector, divided by Estimated Radiographic Magnification Factor; Pixel Spacing alone;
    Nominal Scanned Pixel Spacing, the film digitiser's.
    """
    ignored: tuple[Caveat, ...] = ()
    found: dict[str, tuple[float, float]] = {}
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if keyword not in dataset or not elements.texts(dataset, keyword):
            continue
        pair = elements.numbers(dataset, keyword)
        if len(pair) == 2 and all(SMALLEST_MM <= mm <= LARGEST_MM for mm in pair):
            found[keyword] = (pair[0], pair[1])
        else:
            ignored = (SPACING_IGNORED,)
    imager, spacing = found.get("ImagerPixelSpacing"), found.get("PixelSpacing")
    calibrated = elements.text(dataset, "PixelSpacingCalibrationType") is not None
    if spacing is not None and (calibrated or (imager is not None and not _same(spacing, imager))):
        return spacing, ignored
    if imager is not None:
        factor = _magnification(dataset)
        return (imager[0] / factor, imager[1] / factor), ignored
    if spacing is not None:
        return spacing, (*ignored, SPACING_UNCALIBRATED)
    return found.get("NominalScannedPixelSpacing"), ignored


def _same(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


def _magnification(dataset: Dataset) -> float:
    factor = elements.number(dataset, "EstimatedRadiographicMagnificationFactor")
    return factor if factor is not None and 1.0 <= factor <= LARGEST_MAGNIFICATION else 1.0


def laterality(dataset: Dataset) -> Laterality | None:
    """Read Image Laterality, else Laterality of the series (PS3.3 C.8.11.7, C.7.3.1)."""
    for keyword in ("ImageLaterality", "Laterality"):
        value = elements.text(dataset, keyword)
        if value == "L":
            return "L"
        if value == "R":
            return "R"
    return None


def view_position(dataset: Dataset) -> str | None:
    """Read the view: View Code Sequence, else View Position (PS3.3 C.8.11.7).

    CBIS-DDSM puts it into Patient Orientation, where no anatomical direction is called so.
    """
    for item in elements.items(dataset, "ViewCodeSequence")[:1]:
        view = _VIEWS.get(elements.text(item, "CodeValue") or "")
        if view is not None:
            return view
    for keyword in ("ViewPosition", "PatientOrientation"):
        value = elements.text(dataset, keyword)
        if value in _VIEWS.values():
            return value
    return None


def intent(dataset: Dataset) -> Intent:
    """Tell what the pixels are for, by SOP Class, else Presentation Intent Type, else Conversion
    Type (PS3.3 C.8.11.1, C.8.6.1)."""
    sop_class = elements.uid(dataset, "SOPClassUID")
    kind = elements.text(dataset, "PresentationIntentType")
    if sop_class == _FOR_PROCESSING or (
        sop_class != _FOR_PRESENTATION and kind == "FOR PROCESSING"
    ):
        return "processing"
    if sop_class == _FOR_PRESENTATION or kind == "FOR PRESENTATION":
        return "presentation"
    converted = elements.text(dataset, "ConversionType")
    if sop_class == _SECONDARY_CAPTURE or converted in _FILM_CONVERSIONS:
        return "film"
    return "unstated"


def _oddities(dataset: Dataset) -> tuple[Caveat, ...]:
    found = []
    if elements.text(dataset, "BurnedInAnnotation") == "YES":
        found.append(BURNED_IN)
    if elements.text(dataset, "BreastImplantPresent") == "YES":
        found.append(IMPLANT)
    modifiers = {
        elements.text(modifier, "CodeValue")
        for view in elements.items(dataset, "ViewCodeSequence")
        for modifier in elements.items(view, "ViewModifierCodeSequence")
    }
    if modifiers & _SPECIAL_MODIFIERS:
        found.append(SPECIAL_VIEW)
    return tuple(found)


def spacing_or_assumed(
    mammogram: Mammogram, long_side_mm: float
) -> tuple[tuple[float, float], bool]:
    """Give the image's spacing, or one that makes its long side `long_side_mm`.

    Returns
    -------
    spacing
        Millimetres between (row, column) centres.
    assumed
        True when the image states none.
    """
    if mammogram.pixel_spacing_mm is not None:
        return mammogram.pixel_spacing_mm, False
    assumed = long_side_mm / max(mammogram.rows, mammogram.columns)
    return (assumed, assumed), True
