"""Results that are learned from: of many images, where one thing at a time is another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.findings import NOT_FOUND, SEVERAL, Findings, ModelIdentity
from service.imaging.frames import FRAME_OF_SEVERAL
from service.inference.adopted import ClassCode, LesionClass
from service.outputs.dicom.document import DocumentReference
from service.outputs.dicom.not_run import NOT_RUN_KIND, NotRun, not_run_report
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import VENDORS, full_header

WHAT = ("image", "findings", "model", "problem", "earlier reports")
"""What may be another."""

BASE = "base"
CHANGED: Mapping[str, str] = {
    "another model": "model",
    "a model of classes": "model",
    "other findings": "findings",
    "nothing found": "findings",
    "gated": "findings",
    "warned of": "findings",
    "refused": "problem",
    "another reason": "problem",
    "after a report": "earlier reports",
    "after others": "earlier reports",
}
"""What is another than in `BASE`, by case; of all other cases, the image."""

WHY = NotRun("dead", "deadline", "Waiting took too long.", "0" * 64)


def _lookup_table(explanation: str, entries: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [entries, 0, 12])
    item.LUTExplanation = explanation
    ramp = np.linspace(0, 4095, entries).astype("<u2")
    item.add_new("LUTData", "OW", ramp.tobytes())
    return item


def _modality_lut(entries: int) -> Dataset:
    item = _lookup_table("", entries)
    item.ModalityLUTType = "US"
    return item


_ANOTHER_MODEL = ModelIdentity("another-net", "9.8.7", "fedcba9876543210" * 4)
_CLASSES = (
    LesionClass(
        name="mass", channel=0, code=ClassCode(value="4147007", scheme="SCT", meaning="Mass")
    ),
    LesionClass(name="something else", channel=1),
)
_OF_CLASSES = replace(_ANOTHER_MODEL, unproven=True, classes=_CLASSES)
_ANOTHER_IMAGE: dict[str, Any] = {
    "PatientName": "Else^Somebody", "PatientID": "PID-0002", "IssuerOfPatientID": "OTHER",
    "PatientBirthDate": "19551130", "PatientSex": "M", "StudyInstanceUID": "1.2.3.9",
    "SeriesInstanceUID": "1.2.3.9.1", "SOPInstanceUID": "1.2.3.9.1.1", "StudyDate": "20240102",
    "StudyTime": "101112", "ContentDate": "20240102", "ContentTime": "111213",
    "AccessionNumber": "ACC-78", "StudyID": "S2", "ReferringPhysicianName": "Roe^Richard",
    "SpecificCharacterSet": "ISO_IR 192", "TimezoneOffsetFromUTC": "+0100", "Modality": "CR",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "WindowCenter": 1000, "WindowWidth": 700,
    "VOILUTFunction": "SIGMOID", "RescaleIntercept": -5, "RescaleSlope": 2, "RescaleType": "HU",
    "PhotometricInterpretation": "MONOCHROME1",
}  # fmt: skip
_WITH_LUTS: dict[str, Any] = {
    "RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": None, "WindowCenter": None,
    "WindowWidth": None,
    "VOILUTSequence": [_lookup_table("VOILUT", 1024)],
}  # fmt: skip
_RESCALED: dict[str, Any] = {
    "RescaleIntercept": -5, "RescaleSlope": 2, "WindowCenter": 1000, "WindowWidth": 700,
    "VOILUTFunction": "LINEAR_EXACT",
}  # fmt: skip
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_NO_RESCALE: dict[str, Any] = dict.fromkeys(("RescaleIntercept", "RescaleSlope", "RescaleType"))
_OTHER_BLOBS = ((0.2, 0.25, 0.08, 0.88), (0.5, 0.4, 0.1, 0.82), (0.8, 0.3, 0.05, 0.71))


@dataclass(frozen=True)
class Case:
    """Results of one image, of every kind, and the header that they were made of."""

    header: Dataset
    results: Mapping[str, Dataset]


@cache
def cases() -> dict[str, Case]:
    """Return the images that results are made of, by name."""
    header, findings = full_header(), findings_by_hand()
    unknown: dict[str, Any] = {
        "pixel_spacing_mm": None, "laterality": None, "view_position": None,
    }  # fmt: skip
    another = findings_by_hand(
        (90, 130), pixel_spacing_mm=(0.07, 0.08), laterality="R", view_position="CC"
    )
    made = {
        BASE: _case(findings, header),
        "another image": _case(another, full_header(side="R", view="CC", **_ANOTHER_IMAGE)),
        "other findings": _case(findings_by_hand(blobs=_OTHER_BLOBS, score=0.87), header),
        "another model": _case(findings_by_hand(model=_ANOTHER_MODEL), header),
        "a model of classes": _case(with_classes(findings), header),
        "nothing found": _case(findings_by_hand(blobs=(), score=0.1), header),
        "gated": _case(findings_by_hand(score=0.1), header),
        "warned of": _case(replace(findings, caveats=(SEVERAL, NOT_FOUND)), header),
        "refused": _case(findings, header, replace(WHY, state="refused")),
        "another reason": _case(findings, header, replace(WHY, code="intent", reason="Another.")),
        "after a report": _case(findings, header, predecessors=(_earlier_report(header),)),
        "after others": _case(
            findings,
            header,
            predecessors=(_earlier_report(header), _earlier_report(_in_words())),
        ),
        "a frame": _case(_of_frame(2), header),
        "another frame": _case(_of_frame(7), header),
        "flat pixels": _case(
            findings_by_hand(**unknown, pixel_aspect=1.5), full_header(**_WITH_LUTS)
        ),
        **{
            f"a Modality LUT of {entries}": _case(
                findings,
                full_header(**_NO_RESCALE, ModalityLUTSequence=[_modality_lut(entries)]),
            )
            for entries in (1024, 4096)
        },
        "a rescale and a window": _case(findings, full_header(**_RESCALED)),
        "UIDs alone": _case(findings_by_hand(**unknown), _only(header, _UIDS)),
    }
    for name, elements in VENDORS.items():
        made[name] = _case(findings, full_header(**elements))
    return made


def _in_words() -> Dataset:
    """Return a header of which the report is a Basic Text SR."""
    return full_header(**(_ANOTHER_IMAGE | {"SeriesInstanceUID": None}))


def _earlier_report(header: Dataset) -> DocumentReference:
    return not_run_report(WHY, _ANOTHER_MODEL, header)[1]


def _case(
    findings: Findings,
    header: Dataset,
    why: NotRun = WHY,
    predecessors: tuple[DocumentReference, ...] = (),
) -> Case:
    files = {kind: dicom_file(kind, findings, header, predecessors) for kind in OUTPUTS}
    why = replace(why, predecessors=predecessors)
    files[NOT_RUN_KIND.name], _ = not_run_report(why, findings.model, header)
    return Case(header, {kind: dcmread(BytesIO(file)) for kind, file in files.items()})


def with_classes(findings: Findings) -> Findings:
    """Return findings as a model that tells classes of lesions apart gives them, one coded."""
    regions = [
        replace(region, label=number % len(_CLASSES))
        for number, region in enumerate(findings.regions)
    ]
    return replace(findings, model=_OF_CLASSES, regions=tuple(regions))


def _of_frame(number: int) -> Findings:
    return replace(findings_by_hand(frame=number), caveats=(FRAME_OF_SEVERAL,))


def _only(header: Dataset, keywords: tuple[str, ...]) -> Dataset:
    bare = Dataset()
    for keyword in keywords:
        bare[keyword] = header[keyword]
    return bare
