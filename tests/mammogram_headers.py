"""Headers as mammography machines write them: For Presentation, with full modules.

The values are made up; which elements there are, and how they are filled, follows the makers' DICOM
conformance statements. Each is a valid object by itself.
"""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from tests.dicom_files import SOP_INSTANCE_UID, write

ROOT = "1.2.826.0.1.3680043.10.1"
PRIVATE = "canary of a private element"


def coded(value: str, meaning: str, scheme: str = "SCT", **more: Any) -> Dataset:
    """Make a code item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    for keyword, what in more.items():
        setattr(item, keyword, what)
    return item


_VIEWS = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}

ORIENTATIONS = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}
"""As displayed with the chest wall at the left of a left breast and at the right of a right one."""

_OPPOSITE = str.maketrans("APLRHF", "PARLFH")


def flipped(directions: list[str], *, across: bool, down: bool) -> list[str]:
    """Turn directions as mirroring the pixels would."""
    row, column = directions
    return [
        row.translate(_OPPOSITE) if across else row,
        column.translate(_OPPOSITE) if down else column,
    ]


def full_header(
    shape: tuple[int, int] = (120, 80), side: str = "L", view: str = "MLO", **elements: Any
) -> Dataset:
    """Make a complete header of a digital mammogram; `elements` replace or (None) drop some."""
    value, meaning = _VIEWS[view]
    made: dict[str, Any] = {
        **_patient_and_study(),
        **_acquisition(),
        **_pixels(shape),
        "ImageLaterality": side,
        "PatientOrientation": ORIENTATIONS[side, view],
        "ViewPosition": view,
        "ViewCodeSequence": Sequence(
            [coded(value, meaning, ViewModifierCodeSequence=Sequence([]))]
        ),
        "AnatomicRegionSequence": Sequence([coded("76752008", "Breast")]),
    }
    built = Dataset()
    for keyword, what in (made | elements).items():
        if what is not None:
            setattr(built, keyword, what)
    block = built.private_block(0x0019, "CANARY", create=True)
    block.add_new(0x01, "LO", PRIVATE)
    return built


def _patient_and_study() -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Canary^Patient",
        "PatientID": "PID-0001",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientBirthDate": "19600229",
        "PatientSex": "F",
        "PatientAge": "063Y",
        "PatientComments": "canary comment",
        "StudyInstanceUID": f"{ROOT}.2",
        "SeriesInstanceUID": f"{ROOT}.2.1",
        "SOPInstanceUID": SOP_INSTANCE_UID,
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "StudyDate": "20230405",
        "StudyTime": "081500",
        "SeriesDate": "20230405",
        "SeriesTime": "081600",
        "ContentDate": "20230405",
        "ContentTime": "081702.250",
        "AcquisitionDate": "20230405",
        "AcquisitionTime": "081701",
        "AccessionNumber": "ACC-77",
        "StudyID": "S1",
        "StudyDescription": "Screening",
        "ReferringPhysicianName": "Doe^Jane",
        "InstitutionName": "canary hospital",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }


def _acquisition() -> dict[str, Any]:
    return {
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model",
        "ImageType": ["DERIVED", "PRIMARY", ""],
        "BodyPartExamined": "BREAST",
        "OrganExposed": "BREAST",
        "PositionerType": "MAMMOGRAPHIC",
        "PositionerPrimaryAngle": 45.0,
        "CompressionForce": 120,
        "BodyPartThickness": 55,
        "KVP": 28,
        "BreastImplantPresent": "NO",
        "DetectorType": "DIRECT",
        "FieldOfViewRotation": "0",
        "FieldOfViewHorizontalFlip": "NO",
        "FieldOfViewOrigin": [0, 0],
        "ImagerPixelSpacing": [0.1, 0.1],
        "EstimatedRadiographicMagnificationFactor": 1.05,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "AcquisitionContextSequence": Sequence([]),
    }


def _pixels(shape: tuple[int, int]) -> dict[str, Any]:
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": shape[0],
        "Columns": shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
    }


def _sigmoid_lut() -> Dataset:
    item = Dataset()
    entries = 4095.0 / (1.0 + np.exp(-8.0 * (np.arange(4096) / 4095.0 - 0.5)))
    item.add_new(0x00283002, "US", [4096, 0, 12])
    item.LUTExplanation = "NORMAL"
    item.add_new(0x00283006, "OW", np.rint(entries).astype("<u2").tobytes())
    return item


VENDORS: dict[str, dict[str, Any]] = {
    "ge": {
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": "Senographe Pristina",
        "PatientName": "Müller^Käthe",
        # A Frame of Reference without any plane in it.
        "FrameOfReferenceUID": f"{ROOT}.9",
        "PositionReferenceIndicator": "",
        "WindowCenter": [2300, 2100, 2500],
        "WindowWidth": [900, 700, 1100],
        "WindowCenterWidthExplanation": ["NORMAL", "HARDER", "SOFTER"],
        "VOILUTFunction": "SIGMOID",
    },
    "hologic": {
        "Manufacturer": "HOLOGIC, Inc.",
        "ManufacturerModelName": "Selenia Dimensions",
        "PixelPaddingValue": 0,
        "FieldOfViewHorizontalFlip": "YES",
        "ImagerPixelSpacing": [0.065, 0.065],
        "PixelSpacing": [0.0619, 0.0619],
        "PixelSpacingCalibrationType": "GEOMETRY",
        "PixelSpacingCalibrationDescription": "to the breast support",
        "TimezoneOffsetFromUTC": "-0500",
    },
    "siemens": {
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Mammomat Revelation",
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Łukasiewicz^Żaneta",
        "ImagerPixelSpacing": [0.085, 0.085],
        "WindowCenter": None,
        "WindowWidth": None,
        "VOILUTSequence": Sequence([_sigmoid_lut()]),
    },
    "fuji": {
        "Manufacturer": "FUJIFILM Corporation",
        "ManufacturerModelName": "AMULET Innovality",
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Hanako=山田^花子=やまだ^はなこ",
        "PhotometricInterpretation": "MONOCHROME1",
        "PresentationLUTShape": "INVERSE",
        "ImagerPixelSpacing": [0.05, 0.05],
        "AccessionNumber": "",
        "StudyTime": "",
    },
}
"""What each maker's header has otherwise than `full_header`."""


def as_file(header: Dataset) -> bytes:
    """Write a header with black pixels as a file."""
    whole = Dataset()
    whole.update(header)
    whole.PixelData = bytes(2 * header.Rows * header.Columns)
    whole["PixelData"].VR = "OW"
    return write(whole)
