"""Objects that are not one grey mammogram: frames of a tomosynthesis, other modalities, colour."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.corpus.encodings import REFERENCE
from tests.corpus.makers import SECONDARY_CAPTURE
from tests.corpus.variant import Variant, refused
from tests.corpus.view import HEADER, Stored, mammogram
from tests.dicom_files import dataset, multi_frame_file, write
from tests.transfer_syntaxes import JPEG_LS, RLE

MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
PROJECTION = "1.2.840.10008.5.1.4.1.1.13.1.4"


def _groups(side: str) -> Sequence:
    measures, anatomy, values, shared = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.1, 0.1], 1.0
    anatomy.FrameLaterality = side
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, 0, "US"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.FrameAnatomySequence = Sequence([anatomy])
    shared.PixelValueTransformationSequence = Sequence([values])
    return Sequence([shared])


def _projection_groups(side: str) -> Sequence:
    (shared,) = _groups(side)
    # Pixel Measures is none of its macros: its spacing is the detector's.
    del shared.PixelMeasuresSequence
    properties = Dataset()
    properties.ImagerPixelSpacing = [0.1, 0.1]
    shared.FramePixelDataPropertiesSequence = Sequence([properties])
    return Sequence([shared])


def _windows(frames: int) -> Sequence:
    items = []
    for _ in range(frames):
        item, window = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 2048, 4096
        item.FrameVOILUTSequence = Sequence([window])
        items.append(item)
    return Sequence(items)


def frames(stored: Stored) -> Iterator[Variant]:
    """Yield tomosynthesis and other multi-frame objects (PS3.3 A.55, C.7.6.16, A.8.4)."""
    stack = [stored[::-1].copy(), stored, stored[:, ::-1].copy()]
    header: dict[str, Any] = HEADER | {
        "PresentationIntentType": None,
        "PresentationLUTShape": None,
        "ImagerPixelSpacing": None,
        "ImageLaterality": None,
        "SharedFunctionalGroupsSequence": _groups("L"),
        "PerFrameFunctionalGroupsSequence": _windows(3),
    }
    for name, syntax in {"native": EXPLICIT_LITTLE, "rle": RLE, "jpeg-ls": JPEG_LS}.items():
        body = multi_frame_file(stack, syntax=syntax, **header)
        rule = "PS3.3 A.55, C.7.6.16"
        yield refused(f"frames/{name}.dcm", body, "a tomosynthesis", rule, 422, "multi-frame")
        yield Variant(
            name=f"frames/{name}-second.dcm",
            body=body,
            what="its second frame",
            rule=rule,
            query="frame=2",
            intent="unstated",
            warnings=("frame-of-several",),
            same_as=REFERENCE,
        )
        beyond = "its fourth frame, of three"
        yield refused(
            f"frames/{name}-fourth.dcm", body, beyond, rule, 400, "no-such-frame", "frame=4"
        )
    capture = header | {
        "SOPClassUID": MULTI_FRAME_CAPTURE,
        "SharedFunctionalGroupsSequence": None,
        "PerFrameFunctionalGroupsSequence": None,
        "NominalScannedPixelSpacing": [0.1, 0.1],
        "ImageLaterality": "L",
    }
    yield Variant(
        name="frames/film-scans.dcm",
        body=multi_frame_file(stack, **capture),
        what="the second of several film scans",
        rule="PS3.3 A.8.4",
        query="frame=2",
        intent="film",
        warnings=("frame-of-several",),
        same_as=REFERENCE,
    )
    projection = {
        "SOPClassUID": PROJECTION,
        "SharedFunctionalGroupsSequence": _projection_groups("L"),
    }
    yield Variant(
        name="frames/projection.dcm",
        body=multi_frame_file([stored], **header | projection),
        what="a breast projection of one frame",
        rule="PS3.3 A.74",
        query="frame=1",
        same_as=REFERENCE,
    )


def others(stored: Stored) -> Iterator[Variant]:
    """Yield objects that no model of mammograms must judge."""
    cases: dict[str, tuple[str, dict[str, Any], str]] = {
        "ct": ("a CT", {"Modality": "CT"}, "modality-not-accepted"),
        "no-modality": ("no modality", {"Modality": None}, "modality-not-accepted"),
        "rgb": (
            "colour",
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
            "not-greyscale",
        ),
        "palette": ("a palette", {"PhotometricInterpretation": "PALETTE COLOR"}, "not-greyscale"),
    }
    for name, (what, elements, code) in cases.items():
        body = mammogram(stored, **elements)
        yield refused(f"other/{name}.dcm", body, what, "PS3.3 C.7.3.1.1.1", 422, code)
    report = dataset(None, **HEADER | {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.50"})
    yield refused(
        "other/report.dcm", write(report), "no pixels", "PS3.3 A.35", 422, "no-pixel-data"
    )
    yield Variant(
        name="other/capture.dcm",
        body=mammogram(
            stored,
            SOPClassUID=SECONDARY_CAPTURE,
            PresentationIntentType=None,
            ConversionType="WSD",
            ViewCodeSequence=None,
        ),
        what="a secondary capture of modality MG",
        rule="PS3.3 A.8.1",
        intent="film",
        same_as=REFERENCE,
    )
