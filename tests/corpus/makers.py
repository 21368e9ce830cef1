"""Headers as the makers' conformance statements describe them, around pixels not theirs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.corpus.variant import Variant, refused
from tests.corpus.view import Stored, mammogram
from tests.transfer_syntaxes import RLE

FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True)
class Maker:
    """How one maker's files look; `invert` stores them as MONOCHROME1."""

    name: str
    elements: dict[str, Any]
    syntax: str = EXPLICIT_LITTLE
    invert: bool = False
    private: tuple[int, str] | None = None
    expected: dict[str, Any] = field(default_factory=dict)


def _curve(gamma: float) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 12])
    item.add_new("LUTExplanation", "LO", "NORMAL")
    entries = [round(4095 * (value / 4095) ** gamma) for value in range(4096)]
    item.add_new("LUTData", "US", entries)
    return item


MAKERS = (
    Maker(
        "ge",
        {
            "Manufacturer": "GE MEDICAL SYSTEMS",
            "ManufacturerModelName": "Senograph DS",
            "ImagerPixelSpacing": [0.094090909, 0.094090909],
            "EstimatedRadiographicMagnificationFactor": 1.0,
            "WindowCenter": [2048, 2100, 1990],
            "WindowWidth": [4096, 3000, 5000],
            "WindowCenterWidthExplanation": ["NORMAL", "HARDER", "SOFTER"],
            "VOILUTFunction": "SIGMOID",
            "PixelPaddingValue": 0,
            "FieldOfViewHorizontalFlip": "YES",
            "FieldOfViewRotation": "0",
        },
        private=(0x0045, "GEMS_SENO_02"),
        expected={
            "spacing": (0.094090909, 0.094090909),
            "warnings": ("voi-first-of-several",),
        },
    ),
    Maker(
        "hologic",
        {
            "Manufacturer": "HOLOGIC, Inc.",
            "ManufacturerModelName": "Selenia Dimensions",
            "ImagerPixelSpacing": [0.07, 0.07],
            "EstimatedRadiographicMagnificationFactor": 1.06,
            "VOILUTSequence": Sequence([_curve(1.2), _curve(1.0)]),
            "WindowCenter": [540, 540],
            "WindowWidth": [580, 580],
            "PartialView": "NO",
        },
        syntax="1.2.840.10008.1.2.4.70",
        private=(0x0019, "LORAD Selenia"),
        expected={
            "spacing": (0.07 / 1.06, 0.07 / 1.06),
            "warnings": ("voi-first-of-several",),
        },
    ),
    Maker(
        "siemens",
        {
            "Manufacturer": "SIEMENS",
            "ManufacturerModelName": "Mammomat Inspiration",
            "ImagerPixelSpacing": [0.085, 0.085],
            "PixelSpacing": [0.085, 0.085],
            "EstimatedRadiographicMagnificationFactor": 1.0,
            "WindowCenter": 2047,
            "WindowWidth": 4095,
        },
        syntax=IMPLICIT_LITTLE,
        private=(0x0021, "SIEMENS MED SP DXMG WH AWS 1"),
        expected={"spacing": (0.085, 0.085)},
    ),
    Maker(
        "fuji",
        {
            "Manufacturer": "FUJIFILM Corporation",
            "ManufacturerModelName": "AMULET",
            "ImagerPixelSpacing": [0.05, 0.05],
            "PresentationLUTShape": "INVERSE",
            "WindowCenter": 2048,
            "WindowWidth": 4096,
            "VOILUTFunction": "LINEAR",
        },
        syntax="1.2.840.10008.1.2.4.90",
        invert=True,
        private=(0x0019, "FUJI PHOTO FILM Co., ltd."),
        expected={"spacing": (0.05, 0.05)},
    ),
    Maker(
        "film-scan",
        {
            "SOPClassUID": SECONDARY_CAPTURE,
            "PresentationIntentType": None,
            "ConversionType": "WSD",
            "ViewCodeSequence": None,
            "ImagerPixelSpacing": None,
            "PresentationLUTShape": None,
            "ImageLaterality": None,
            "Laterality": "L",
            "ViewPosition": None,
            "PatientOrientation": "CC",
            "SeriesDescription": "full mammogram images",
        },
        syntax=RLE,
        expected={"intent": "film", "spacing": None},
    ),
    Maker(
        "de-identified",
        {
            "PatientName": "",
            "PatientID": "",
            "PatientIdentityRemoved": "YES",
            "DeidentificationMethod": "Basic Application Confidentiality Profile",
            "SOPInstanceUID": "2.25.329800735698586629295641978511506172918",
            "Manufacturer": "",
            "ImageLaterality": "",
            "ViewPosition": "",
            "PatientOrientation": "",
            "ViewCodeSequence": Sequence([]),
            "WindowCenter": "",
            "WindowWidth": "",
        },
        expected={"laterality": "", "view": "", "warnings": ("window-ignored",)},
    ),
)


def makers(stored: Stored) -> Iterator[Variant]:
    """Yield each maker's image for presentation."""
    for maker in MAKERS:
        inverse = {"PhotometricInterpretation": "MONOCHROME1"} if maker.invert else {}
        yield Variant(
            name=f"maker/{maker.name}.dcm",
            body=mammogram(
                4095 - stored if maker.invert else stored,
                maker.syntax,
                private=maker.private,
                **maker.elements | inverse,
            ),
            what=f"as {maker.name} writes it",
            rule="PS3.3 A.26, A.8.1; PS3.15 E",
            **maker.expected,
        )


def intents(stored: Stored) -> Iterator[Variant]:
    """Yield images for processing, which the bundled model was not made for."""
    for maker in MAKERS[:4]:
        body = mammogram(
            4095 - stored,
            **maker.elements
            | {
                "SOPClassUID": FOR_PROCESSING,
                "PresentationIntentType": "FOR PROCESSING",
                "PresentationLUTShape": "IDENTITY",
                "VOILUTSequence": None,
                "WindowCenter": None,
                "WindowWidth": None,
            },
        )
        yield refused(
            f"processing/{maker.name}.dcm",
            body,
            f"for processing, as {maker.name} writes it",
            "PS3.3 C.8.11.1",
            422,
            "intent",
        )
