"""What docs/conformance.md says, read from the page itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"


@dataclass(frozen=True)
class Row:
    """One row of a table of attributes, or of content items."""

    path: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def presence(self) -> str:
        return self.cells[-3]

    @property
    def fixed(self) -> str | None:
        """The value that is always the same, where one is shown whole."""
        shown = self.cells[-1].strip("`")
        is_whole = self.cells[-1].startswith("`") and not shown.endswith("...")
        return shown if self.cells[-2] == "FIXED" and is_whole else None


def rows(*heads: str, after: str = "") -> list[tuple[str, ...]]:
    """Return the rows of the first table with these heads, after some words of the page."""
    page = PAGE.read_text("utf-8")
    _, _, rest = page[page.index(after) :].partition(f"| {' | '.join(heads)} |\n")
    assert rest, heads
    lines = []
    for line in rest.splitlines()[1:]:
        if not line.startswith("|"):
            break
        lines.append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    return lines


def storage_classes() -> list[str]:
    return [uid for _, uid in rows("SOP class", "UID")]


def storage_syntaxes() -> list[str]:
    return [uid for _, uid in rows("Transfer syntax", "UID")]


def attributes(kind: str) -> list[Row]:
    """Return the attributes of a kind of result; paths are of tags, as `(0010,0010)`."""
    table = rows("Attribute", "Tag", "VR", "Presence", "Source", "Value", after=f"#### {kind}\n")
    return _nested([cells for cells in table if not cells[0].startswith("**")], lambda c: c[1])


def content_items(kind: str) -> list[Row]:
    """Return the content items of a kind of report; paths are of relationship, type and name."""
    heads = ("Relationship", "Value type", "Concept name", "Presence", "Source", "Value")
    table = rows(*heads, after=f"Content tree of `{kind}`:")
    return _nested(table, lambda c: f"{c[0].lstrip('> ')}|{c[1]}|{c[2]}")


def _nested(table: list[tuple[str, ...]], name: Callable[[tuple[str, ...]], str]) -> list[Row]:
    found: list[Row] = []
    path: list[str] = []
    for cells in table:
        depth = len(cells[0]) - len(cells[0].lstrip(">"))
        path = [*path[:depth], name(cells)]
        found.append(Row(tuple(path), cells))
    return found
