"""What is in the DICOM results, learned from results: made of many images, and looked at.

Nothing is written down twice: which attributes a result has, whether they always have a value, and
what the value follows from is what comes out when one thing at a time is changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any, Literal

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import MammographyCADSRStorage

from service.findings import Findings, ModelIdentity
from service.imaging.frames import FRAME_OF_SEVERAL
from service.inference.adopted import ClassCode, LesionClass
from service.outputs.dicom.document import DocumentReference
from service.outputs.dicom.not_run import NOT_RUN, NotRun, not_run_report
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import VENDORS, full_header

Path = tuple[str, ...]
"""Keywords from the outermost sequence to an attribute."""

Presence = Literal["ALWAYS", "VNAP", "ANAP", "EMPTY"]
"""Of PS3.2: with a value always; empty at times; not there at times; there and never with one."""

WHAT = ("image", "findings", "model", "problem", "earlier reports")
"""What may be another."""

BASE = "base"
CHANGED: Mapping[str, str] = {
    "another model": "model",
    "a model of classes": "model",
    "other findings": "findings",
    "nothing found": "findings",
    "gated": "findings",
    "refused": "problem",
    "another reason": "problem",
    "after a report": "earlier reports",
    "after others": "earlier reports",
}
"""What is another than in `BASE`, by case; of all other cases, the image."""

WHY = NotRun("dead", "deadline", "Waiting took too long.", "0" * 64)
KINDS: Mapping[str, tuple[str, str]] = {
    **{kind: (output.sop_class_uid, output.description) for kind, output in OUTPUTS.items()},
    NOT_RUN.name: (
        MammographyCADSRStorage,
        "Mammography CAD SR (TID 4000): an image of the inbox was not analysed. Where it has no "
        "series, or its SOP class is not known to be of images, a Basic Text SR says the same.",
    ),
}
"""SOP Class UID and description of everything that is made, by kind."""


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
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_NO_RESCALE: dict[str, Any] = dict.fromkeys(("RescaleIntercept", "RescaleSlope", "RescaleType"))
_OTHER_BLOBS = ((0.2, 0.25, 0.08, 0.88), (0.5, 0.4, 0.1, 0.82), (0.8, 0.3, 0.05, 0.71))


@dataclass(frozen=True)
class Case:
    """Results of one image, of every kind, and the header that they were made of."""

    header: Dataset
    results: Mapping[str, Dataset]


@dataclass(frozen=True)
class Attribute:
    """What was learned of one attribute.

    Attributes
    ----------
    path
        Where it stands.
    vr
        Its value representation.
    presence
        Whether it is there, and with a value; within its sequence's items.
    fixed
        Its value in words where that is always the same, else "".
    copied
        It always is the source image's attribute of the same name.
    follows
        What of `WHAT` it changes with; empty where it is fixed.
    """

    path: Path
    vr: str
    presence: Presence
    fixed: str
    copied: bool
    follows: tuple[str, ...]


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
    files[NOT_RUN.name], _ = not_run_report(why, findings.model, header)
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


def items_of(dataset: Dataset, path: Path = ()) -> Iterator[tuple[Path, Dataset]]:
    """Return a dataset and every item within, with where it stands; no content items."""
    yield path, dataset
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "ContentSequence":
            for item in element.value:
                yield from items_of(item, (*path, element.keyword))


def attributes(kind: str) -> list[Attribute]:
    """Return what the results of one kind hold, besides their content tree, in order of tags."""
    found: dict[Path, dict[str, list[Dataset]]] = {}
    for name, case in cases().items():
        for path, item in items_of(case.results[kind]):
            found.setdefault(path, {}).setdefault(name, []).append(item)
    return list(_below((), found))


def _below(path: Path, found: Mapping[Path, Mapping[str, list[Dataset]]]) -> Iterator[Attribute]:
    """Return the attributes of the items at a path, each followed by those of its own items."""
    items = found[path]
    elements = {
        element.tag: element for each in items.values() for item in each for element in item
    }
    for tag in sorted(elements):
        keyword = elements[tag].keyword
        yield _attribute((*path, keyword), elements[tag].VR, items)
        within = found.get((*path, keyword), {})
        if not all(is_code(item) for each in within.values() for item in each):
            yield from _below((*path, keyword), found)


def _attribute(path: Path, vr: str, items: Mapping[str, list[Dataset]]) -> Attribute:
    keyword = path[-1]
    every = [item for each in items.values() for item in each]
    there = [item for item in every if keyword in item]
    values = {
        name: [*dict.fromkeys(_said(item, keyword) for item in each)]
        for name, each in items.items()
    }
    said = {value for each in values.values() for value in each if value}
    fixed = said.pop() if len(said) == 1 else ""
    copied = len(path) == 1 and bool(said) and _is_copied(keyword, values)
    return Attribute(
        path,
        vr,
        presence([bool(_said(item, keyword)) for item in there], len(every)),
        fixed,
        copied,
        () if fixed else follows(values),
    )


def presence(has_value: list[bool], times: int) -> Presence:
    """Say how something is there that could be `times` often, and had a value or not."""
    if len(has_value) < times:
        return "ANAP"
    if all(has_value):
        return "ALWAYS"
    return "VNAP" if any(has_value) else "EMPTY"


def follows(values: Mapping[str, object]) -> tuple[str, ...]:
    """Say what of `WHAT` values change with, given those of each case."""
    base = values.get(BASE)
    changed = {CHANGED.get(name, "image") for name, value in values.items() if value != base}
    return tuple(what for what in WHAT if what in changed)


def _is_copied(keyword: str, values: Mapping[str, list[str]]) -> bool:
    return all(
        value == _said(cases()[name].header, keyword)
        for name, each in values.items()
        for value in each
        if value
    )


def _said(item: Dataset, keyword: str) -> str:
    """Return an attribute's value in words; of a sequence its codes, or how many items it has."""
    element = item.get(keyword) if keyword in item else None
    value = element.value if isinstance(element, DataElement) else element
    if value is None or value == "" or value == b"":
        return ""
    if isinstance(value, Sequence):
        return ", ".join(map(code_of, value)) if all(map(is_code, value)) else str(len(value))
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, MultiValue | list):
        return "\\".join(map(str, value))
    return str(value)


def is_code(item: Dataset) -> bool:
    """Say whether an item is a code (PS3.3 8.8) and nothing more."""
    return {element.keyword for element in item} == {
        "CodeValue", "CodingSchemeDesignator", "CodeMeaning",
    }  # fmt: skip


def code_of(item: Dataset) -> str:
    """Return a code as the standard writes it."""
    return f'({item.CodeValue}, {item.CodingSchemeDesignator}, "{item.CodeMeaning}")'
