"""Which breast a mammogram shows, in which view, and what is unusual about it.

All of it describes the pixels as they are stored. Field of View Rotation and Field of View
Horizontal Flip (PS3.3 C.8.11.4.1.1) tell how those were turned relative to the detector, not to the
patient: they change nothing here. Nothing is turned here; the net is shown the image upright, see
`orientation`.
"""

from typing import NamedTuple

from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.mammogram import Caveat, Laterality, PatientOrientation
from service.imaging.orientation import of_biped
from service.imaging.pixel_size import magnification

MAGNIFIED_FROM = 1.3
"""Magnification of a magnification view: on the breast support it is under 1.1, on a magnification
stand 1.5 to 2."""

BURNED_IN = Caveat("burned-in-annotation", "The image says that text is burned into its pixels.")
IMPLANT = Caveat("implant", "The image shows an implant, which the model may mistake.")
SPECIAL_VIEW = Caveat(
    "special-view", "This is a spot, magnification or other special view, not a screening view."
)
PARTIAL_VIEW = Caveat("partial-view", "The image says that it shows a part of the breast only.")

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

_SPECIMEN = frozenset(("127457009", "G-8310"))

_IMPLANT_DISPLACED = frozenset(("399209000", "R-102D5"))

_SPECIAL_MODIFIERS = frozenset(
    # PS3.16 CID 4015: spot compression, magnification, tangential, cleavage, axillary tail,
    # axillary tissue, infra-mammary fold, anterior compression, rolled in four directions.
    (
        *("399055006", "R-102D7", "399163009", "R-102D6", "399110001", "R-102C2"),
        *("399161006", "R-102D2", "399011000", "R-102D1", "442580003", "R-40AB2"),
        *("442593008", "R-40ABE", "441752004", "P2-00161", "414493004", "R-102CA"),
        *("399197002", "R-102D3", "399226006", "R-102D4", "415670009", "R-102C9"),
    )
)


class Anatomy(NamedTuple):
    """What the header says of the patient's side of the image."""

    laterality: Laterality | None
    view_position: str | None
    orientation: PatientOrientation | None
    caveats: tuple[Caveat, ...]


def read_anatomy(dataset: Dataset) -> Anatomy:
    """Read laterality and view, and what else the reader of the answer should know."""
    view = view_position(dataset)
    return Anatomy(laterality(dataset, view), view, of_biped(dataset), _oddities(dataset))


def laterality(dataset: Dataset, view: str | None) -> Laterality | None:
    """Tell which breast it is, None when nothing decides.

    In this order: Image Laterality, which Frame Laterality stands for in a multi-frame object
    (PS3.3 C.8.11.7, C.7.6.16.2.8); Laterality of the series (C.7.3.1); where rows and columns
    point, but only of an oblique view.
    """
    for keyword in ("ImageLaterality", "FrameLaterality", "Laterality"):
        value = elements.text(dataset, keyword)
        if value == "L":
            return "L"
        if value == "R":
            return "R"
    return _side_of_oblique(dataset) if view in ("MLO", "LMO") else None


def _side_of_oblique(dataset: Dataset) -> Laterality | None:
    """Tell the side by an oblique direction of rows or columns (PS3.3 C.7.6.1.1.1).

    The beam of an MLO view runs between the upper inner and the lower outer quadrant, so the image
    runs from the upper outer (the axilla) to the lower inner one: head goes with the breast's own
    side, foot with the other. That holds however the image is flipped. Directions with one letter,
    and those of a CC view, leave the side open.
    """
    for direction in of_biped(dataset) or ():
        if set(direction) in ({"H", "L"}, {"F", "R"}):
            return "L"
        if set(direction) in ({"H", "R"}, {"F", "L"}):
            return "R"
    return None


def view_position(dataset: Dataset) -> str | None:
    """Read the view: View Code Sequence, else View Position (PS3.3 C.8.11.7, C.8.21.6).

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


def _oddities(dataset: Dataset) -> tuple[Caveat, ...]:
    views = elements.items(dataset, "ViewCodeSequence")
    kinds = {elements.text(view, "CodeValue") for view in views}
    modifiers = {
        elements.text(modifier, "CodeValue")
        for view in views
        for modifier in elements.items(view, "ViewModifierCodeSequence")
    }
    magnified = magnification(dataset) >= MAGNIFIED_FROM
    found = {
        BURNED_IN: elements.text(dataset, "BurnedInAnnotation") == "YES",
        IMPLANT: elements.text(dataset, "BreastImplantPresent") == "YES"
        or modifiers & _IMPLANT_DISPLACED,
        SPECIAL_VIEW: modifiers & _SPECIAL_MODIFIERS or kinds & _SPECIMEN or magnified,
        PARTIAL_VIEW: elements.text(dataset, "PartialView") == "YES",
    }
    return tuple(caveat for caveat, present in found.items() if present)
