"""Tables of what the DICOM results hold, for the conformance statement (PS3.2)."""

from collections.abc import Iterator

from highdicom._standard_utils import (
    get_iod_module_map,
    get_module_attribute_map,
    get_sop_class_iod_map,
)
from pydicom.datadict import dictionary_description, tag_for_keyword

from docs.generator.content_tree import ContentItem, content_items
from docs.generator.made_objects import KINDS, Attribute, attributes
from docs.generator.result_cases import cases

USAGES = ("M", "C", "U")
EXTENDED = "Of no module of the IOD"
"""Where attributes stand that make of the object one of a Standard Extended SOP Class (PS3.2)."""

_UPPER = frozenset(("sop", "sr", "sc", "voi", "lut", "icc"))
_MAX_SHOWN = 60
"""Characters of a value."""


def object_tables() -> str:
    """Return a section for each kind of result."""
    return "\n".join(line for kind in KINDS for line in _section(kind)).rstrip("\n")


def file_meta_table() -> str:
    """Return the File Meta Information of all results (PS3.10 7.1)."""
    metas = [file.file_meta for case in cases().values() for file in case.results.values()]
    lines = ["| Attribute | Tag | Value |", "|---|---|---|"]
    for element in metas[0]:
        values = {str(meta[element.tag].value) for meta in metas}
        shown = f"`{values.pop()}`" if len(values) == 1 else "as of the object"
        lines.append(f"| {element.name} | {_tag(element.keyword)} | {shown} |")
    return "\n".join(lines)


def modules(kind: str) -> dict[str, list[Attribute]]:
    """Return the attributes of a kind of result by module, in the order of its IOD.

    An attribute that several modules have stands in the first that is mandatory, or else
    conditional, or else of the user's choice. What is within a sequence goes with it.
    """
    iod = get_iod_module_map()[get_sop_class_iod_map()[KINDS[kind][0]]]
    told = get_module_attribute_map()
    in_order = [_title(each["key"], each["usage"]) for each in iod]
    grouped: dict[str, list[Attribute]] = {title: [] for title in (*in_order, EXTENDED)}
    having = {
        title: {entry["keyword"] for entry in told.get(each["key"], []) if not entry["path"]}
        for title, each in zip(in_order, iod, strict=True)
    }
    by_usage = sorted(having, key=lambda title: USAGES.index(title[-2]))
    for attribute in attributes(kind):
        outermost = attribute.path[0]
        home = next((title for title in by_usage if outermost in having[title]), EXTENDED)
        grouped[home].append(attribute)
    return {title: held for title, held in grouped.items() if held}


def _section(kind: str) -> Iterator[str]:
    yield from (f"#### {kind}", "", KINDS[kind][1], "")
    yield "| Attribute | Tag | VR | Presence | Source | Value |"
    yield "|---|---|---|---|---|---|"
    for title, held in modules(kind).items():
        yield f"| **{title}** | | | | | |"
        yield from map(_attribute_row, held)
    yield ""
    if any(attribute.path == ("ContentSequence",) for attribute in attributes(kind)):
        yield from (f"Content tree of `{kind}`:", "")
        yield "| Relationship | Value type | Concept name | Presence | Source | Value |"
        yield "|---|---|---|---|---|---|"
        yield from map(_content_row, content_items(kind))
        yield ""


def _attribute_row(attribute: Attribute) -> str:
    keyword = attribute.path[-1]
    name = f"{'>' * (len(attribute.path) - 1)} {dictionary_description(_number(keyword))}".strip()
    if keyword == "ContentSequence":
        source, shown = "AUTO", "see the content tree"
    elif attribute.presence == "EMPTY":
        source, shown = "FIXED", ""
    elif attribute.copied:
        source, shown = "COPY", ""
    else:
        source, shown = _source(attribute.follows), _shown(attribute)
    return _row(name, _tag(keyword), attribute.vr, attribute.presence, source, shown)


def _content_row(item: ContentItem) -> str:
    relationship, value_type, name = item.path[-1]
    return _row(
        f"{'>' * (len(item.path) - 1)} {relationship}".strip(),
        value_type,
        name,
        item.presence,
        _source(item.follows),
        _quoted(item.fixed),
    )


def _source(follows: tuple[str, ...]) -> str:
    return f"AUTO: {', '.join(follows)}" if follows else "FIXED"


def _shown(attribute: Attribute) -> str:
    if attribute.vr == "SQ" and attribute.fixed.isdecimal():
        return f"{attribute.fixed} item" + ("s" if attribute.fixed != "1" else "")
    return _quoted(attribute.fixed)


def _quoted(value: str) -> str:
    short = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}..."
    return f"`{short}`" if short else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _number(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def _tag(keyword: str) -> str:
    number = _number(keyword)
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def _title(key: str, usage: str) -> str:
    words = [word.upper() if word in _UPPER else word.capitalize() for word in key.split("-")]
    return f"{' '.join(words)} ({usage})"
