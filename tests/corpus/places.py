"""The same view stored in every orientation, with every way to say where it lies on the patient."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.corpus.encodings import REFERENCE
from tests.corpus.variant import Turn, Variant
from tests.corpus.view import Stored, mammogram

TURNS: dict[Turn, tuple[Callable[[Stored], Stored], list[str], str, str]] = {
    # Patient Orientation (PS3.3 C.7.6.1.1.1), Field of View Horizontal Flip and Rotation.
    "": (lambda pixels: pixels, ["A", "R"], "NO", "0"),
    "left-right": (lambda pixels: pixels[:, ::-1], ["P", "R"], "YES", "0"),
    "upside down": (lambda pixels: pixels[::-1], ["A", "L"], "YES", "180"),
    "by 180": (lambda pixels: pixels[::-1, ::-1], ["P", "L"], "NO", "180"),
}


def orientations(stored: Stored) -> Iterator[Variant]:
    """Yield the four flips; masks lie on the pixels as they are stored."""
    for turn, (apply, orientation, flip, rotation) in TURNS.items():
        for inverse in (False, True):
            values = np.ascontiguousarray(apply(stored))
            name = f"{turn.replace(' ', '-') or 'as-taken'}-monochrome{2 - inverse}"
            yield Variant(
                name=f"orientation/{name}.dcm",
                body=mammogram(
                    4095 - values if inverse else values,
                    PhotometricInterpretation=f"MONOCHROME{2 - inverse}",
                    PresentationLUTShape="INVERSE" if inverse else "IDENTITY",
                    PatientOrientation=orientation,
                    FieldOfViewHorizontalFlip=flip,
                    FieldOfViewRotation=rotation,
                ),
                what=f"stored {turn or 'as taken'}",
                rule="PS3.3 C.7.6.1.1.1, C.8.11.4.1.1",
                same_as=REFERENCE,
                turn=turn,
            )


def spacings(stored: Stored) -> Iterator[Variant]:
    """Yield the elements that say how large a pixel is, in order of rank (PS3.3 10.7.1.3)."""
    none: dict[str, Any] = {"ImagerPixelSpacing": None}
    cases: dict[str, tuple[dict[str, Any], tuple[float, float] | None, tuple[str, ...]]] = {
        "imager": ({}, (0.1, 0.1), ()),
        "magnification": (
            {"EstimatedRadiographicMagnificationFactor": 1.25},
            (0.08, 0.08),
            (),
        ),
        "magnification-by-distances": (
            {"DistanceSourceToDetector": 660, "DistanceSourceToPatient": 528},
            (0.08, 0.08),
            (),
        ),
        "magnification-of-1-and-distances": (
            {
                "EstimatedRadiographicMagnificationFactor": 1,
                "DistanceSourceToDetector": 660,
                "DistanceSourceToPatient": 330,
            },
            (0.05, 0.05),
            ("special-view",),
        ),
        "calibrated": (
            {
                "PixelSpacing": [0.09, 0.09],
                "PixelSpacingCalibrationType": "GEOMETRY",
                "PixelSpacingCalibrationDescription": "to the breast support",
            },
            (0.09, 0.09),
            (),
        ),
        "uncalibrated": (
            none | {"PixelSpacing": [0.09, 0.09]},
            (0.09, 0.09),
            ("spacing-uncalibrated",),
        ),
        "scanned": (none | {"NominalScannedPixelSpacing": [0.05, 0.05]}, (0.05, 0.05), ()),
        "not-square": ({"ImagerPixelSpacing": [0.1, 0.12]}, (0.1, 0.12), ()),
        "none": (none, None, ()),
        "aspect": (none | {"PixelAspectRatio": [4, 5]}, None, ()),
        "aspect-broken": (none | {"PixelAspectRatio": [0, 1]}, None, ("pixel-aspect-ignored",)),
        "absurd": ({"ImagerPixelSpacing": [100, 100]}, None, ("spacing-ignored",)),
    }
    for name, (elements, spacing, warnings) in cases.items():
        yield Variant(
            name=f"spacing/{name}.dcm",
            body=mammogram(stored, **elements),
            what=f"spacing: {name}",
            rule="PS3.3 10.7.1.3, C.7.6.3.1.7",
            spacing=spacing,
            warnings=warnings,
        )


def _view(code: str, modifier: str = "") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
    added = Dataset()
    if modifier:
        added.CodeValue, added.CodingSchemeDesignator = modifier, "SCT"
        added.CodeMeaning = "modified"
    item.ViewModifierCodeSequence = Sequence([added] if modifier else [])
    return Sequence([item])


def views(stored: Stored) -> Iterator[Variant]:
    """Yield the elements that say side and view, and what becomes a warning (PS3.3 C.8.11.7)."""
    oblique, cranio_caudal = "399368009", "399162004"
    bare: dict[str, Any] = dict.fromkeys(("ImageLaterality", "ViewPosition", "ViewCodeSequence"))
    cases: dict[str, tuple[dict[str, Any], str, str, tuple[str, ...]]] = {
        "code-outranks": ({"ViewCodeSequence": _view(oblique)}, "L", "MLO", ()),
        "code-unknown": ({"ViewCodeSequence": _view("0-0")}, "L", "CC", ()),
        "series-laterality": ({"ImageLaterality": None, "Laterality": "R"}, "R", "CC", ()),
        "image-outranks-series": ({"Laterality": "R"}, "L", "CC", ()),
        "oblique-orientation": (
            bare | {"ViewPosition": "MLO", "PatientOrientation": ["P", "FL"]},
            "R",
            "MLO",
            (),
        ),
        "view-in-orientation": (
            bare | {"Laterality": "R", "PatientOrientation": "MLO"},
            "R",
            "MLO",
            (),
        ),
        "nothing": (bare | {"PatientOrientation": None}, "", "", ()),
        "spot": (
            {"ViewCodeSequence": _view(cranio_caudal, "399055006")},
            "L",
            "CC",
            ("special-view",),
        ),
        "magnified": (
            {"ViewCodeSequence": _view(cranio_caudal, "399163009")},
            "L",
            "CC",
            ("special-view",),
        ),
        "displaced-implant": (
            {"ViewCodeSequence": _view(cranio_caudal, "399209000")},
            "L",
            "CC",
            ("implant",),
        ),
        "implant": ({"BreastImplantPresent": "YES"}, "L", "CC", ("implant",)),
        "partial": ({"PartialView": "YES"}, "L", "CC", ("partial-view",)),
        "burned-in": ({"BurnedInAnnotation": "YES"}, "L", "CC", ("burned-in-annotation",)),
        "uid": ({"SOPInstanceUID": "1.2.not-a-uid"}, "L", "CC", ("uid-ignored",)),
    }
    for name, (elements, side, view, warnings) in cases.items():
        yield Variant(
            name=f"view/{name}.dcm",
            body=mammogram(stored, **elements),
            what=f"side and view: {name}",
            rule="PS3.3 C.8.11.7, C.8.21.6; PS3.16 CID 4014, 4015",
            laterality=side,
            view=view,
            warnings=warnings,
            same_as=REFERENCE,
        )
