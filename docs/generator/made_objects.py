"""What is in the DICOM results, learned from results: made of many images, and looked at.

Nothing is written down twice: which attributes a result has, whether they always have a value, and
what the value follows from is what comes out when one thing at a time is changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import MammographyCADSRStorage

from docs.generator.result_cases import BASE, CHANGED, WHAT, cases
from service.outputs.dicom.not_run import NOT_RUN_KIND
from service.outputs.dicom.registry import OUTPUTS

Path = tuple[str, ...]
"""Keywords from the outermost sequence to an attribute."""

Presence = Literal["ALWAYS", "VNAP", "ANAP", "EMPTY"]
"""Of PS3.2: with a value always; empty at times; not there at times; there and never with one."""

KINDS: Mapping[str, tuple[str, str]] = {
    **{kind: (output.sop_class_uid, output.description) for kind, output in OUTPUTS.items()},
    NOT_RUN_KIND.name: (
        MammographyCADSRStorage,
        "Mammography CAD SR (TID 4000): an image of the inbox was not analysed. Where it has no "
        "series, or its SOP class is not known to be of images, a Basic Text SR says the same.",
    ),
}
"""SOP Class UID and description of everything that is made, by kind."""


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
