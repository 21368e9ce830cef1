"""The content trees of the reports (PS3.3 C.17.3), learned from reports as `made_objects` does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset

from docs.generator.made_objects import Presence, code_of, follows, presence
from docs.generator.result_cases import cases

Key = tuple[str, str, str]
"""Of a content item: relationship to its parent, value type, concept name."""

VALUES = {
    "TEXT": "TextValue",
    "UIDREF": "UID",
    "DATE": "Date",
    "TIME": "Time",
    "SCOORD": "GraphicType",
}
"""Where each value type has its value, besides codes and numbers."""


@dataclass(frozen=True)
class ContentItem:
    """What was learned of the content items at one place of a tree.

    Attributes
    ----------
    path
        From the root on.
    presence
        Whether it is there, below each item above it.
    fixed
        Its value in words where that is always the same, else "".
    follows
        What it changes with otherwise.
    """

    path: tuple[Key, ...]
    presence: Presence
    fixed: str
    follows: tuple[str, ...]


def content_items(kind: str) -> list[ContentItem]:
    """Return the content items of the reports of one kind, from the root down."""
    found: dict[tuple[Key, ...], dict[str, list[Dataset]]] = {}
    for name, case in cases().items():
        for path, item in walked(case.results[kind]):
            found.setdefault(path, {}).setdefault(name, []).append(item)
    return [_item(path, found) for path in _in_order(found)]


def walked(item: Dataset, above: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], Dataset]]:
    """Return a content item and all below it, each with its place."""
    path = (*above, key_of(item))
    yield path, item
    for child in item.get("ContentSequence", []):
        yield from walked(child, path)


def key_of(item: Dataset) -> Key:
    """Return what a content item is called."""
    named = item.get("ConceptNameCodeSequence")
    return (
        str(item.get("RelationshipType", "")),
        "by reference" if "ReferencedContentItemIdentifier" in item else str(item.ValueType),
        code_of(named[0]) if named else "",
    )


def value_of(item: Dataset) -> str:
    """Return a content item's value in words."""
    if "ReferencedContentItemIdentifier" in item:
        return ".".join(map(str, item.ReferencedContentItemIdentifier))
    if item.ValueType == "CODE":
        return code_of(item.ConceptCodeSequence[0])
    if item.ValueType == "NUM":
        number = item.MeasuredValueSequence[0]
        return f"{number.NumericValue} {number.MeasurementUnitsCodeSequence[0].CodeValue}"
    if item.ValueType == "IMAGE":
        return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    if item.ValueType == "CONTAINER":
        template = item.get("ContentTemplateSequence")
        return f"TID {template[0].TemplateIdentifier}" if template else ""
    points = f" {list(item.GraphicData)}" if item.ValueType == "SCOORD" else ""
    return f"{item[VALUES[item.ValueType]].value}{points}"


def _in_order(found: Mapping[tuple[Key, ...], object]) -> list[tuple[Key, ...]]:
    """Put what only some trees have behind its siblings, not behind the whole tree."""
    children: dict[tuple[Key, ...], list[tuple[Key, ...]]] = {}
    for path in found:
        children.setdefault(path[:-1], []).append(path)

    def below(path: tuple[Key, ...]) -> Iterator[tuple[Key, ...]]:
        for child in children.get(path, []):
            yield child
            yield from below(child)

    return list(below(()))


def _item(
    path: tuple[Key, ...], found: Mapping[tuple[Key, ...], Mapping[str, list[Dataset]]]
) -> ContentItem:
    items = found[path]
    above = found.get(path[:-1], {name: [Dataset()] for name in cases()})
    values = {name: [*dict.fromkeys(map(value_of, each))] for name, each in items.items()}
    said = {value for each in values.values() for value in each}
    has_it = [
        any(key_of(child) == path[-1] for child in item.get("ContentSequence", []))
        for each in above.values()
        for item in each
    ]
    times = len(has_it) if len(path) > 1 else 1
    return ContentItem(
        path,
        presence([True] * (sum(has_it) if len(path) > 1 else 1), times),
        said.pop() if len(said) == 1 else "",
        follows(values),
    )
