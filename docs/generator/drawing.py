"""The way of one request as a picture, made of the rooms and modules that it passes.

`python -m docs.generator.drawing` writes it anew; a test fails when it is not what the code says.
"""

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = Path("docs/pictures/way-of-a-request.svg")


@dataclass(frozen=True)
class Stop:
    """One room on the way.

    Attributes
    ----------
    room
        Folder of the package, from the repository's root.
    runs_in
        Which process or thread does the work.
    modules
        Those that a request passes, in order; a folder stands for its package.
    """

    room: str
    runs_in: str
    modules: tuple[str, ...]


WAY = (
    Stop("service/api", "the event loop", ("body", "upload", "options", "form")),
    Stop("service/capacity", "the event loop", ("limiter", "budget")),
    Stop("service/reading", "a worker thread, which waits for a reader", ("pool", "process")),
    Stop(
        "service/imaging",
        "the reader: a sandboxed process that may be killed",
        ("admission", "decode", "photometry", "pixel_size", "anatomy"),
    ),
    Stop("service/imaging", "the worker thread", ("breast", "resample", "tiles")),
    Stop("service/inference", "the device's runners", ("fair_queue", "scheduler", "session")),
    Stop("service/imaging", "the worker thread", ("stitch", "regions")),
    Stop("service/outputs", "the worker thread", ("result", "png", "dicom")),
)

WIDTH, MARGIN, GAP = 960, 16, 26
BOX_TOP, LINE, BOX_PADDING = 46, 15, 10
CHARACTER = 6.9
"""Widths and heights are pixels; the last is that of a letter of the small text, on average."""


def drawing(root: Path = ROOT) -> str:
    """Return the picture, as SVG."""
    parts, top = [], float(MARGIN)
    for index, stop in enumerate(WAY):
        if index:
            parts.append(_arrow(top))
            top += GAP
        height, band = _band(root, stop, top)
        parts += band
        top += height
    height = top + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
            ' font-family="sans-serif" font-size="12">',
            "<title>The way of one request through the rooms of the service</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def first_sentence(root: Path, module: str) -> str:
    """Return how a module, or a package, begins to say what it is for."""
    file = root / f"{module}.py"
    file = file if file.is_file() else root / module / "__init__.py"
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].replace("`", "").split())


def _band(root: Path, stop: Stop, top: float) -> tuple[float, list[str]]:
    """Draw one room from `top` on; return its height, and the drawing."""
    width = (WIDTH - 2 * MARGIN - BOX_PADDING) / len(stop.modules) - BOX_PADDING
    wrapped = [
        textwrap.wrap(first_sentence(root, f"{stop.room}/{name}"), int(width / CHARACTER) - 2)
        for name in stop.modules
    ]
    box = (max(map(len, wrapped)) + 1) * LINE + 2 * BOX_PADDING
    height = BOX_TOP + box + BOX_PADDING
    fill = "#fdf1e3" if "killed" in stop.runs_in else "#eef3f8"
    parts = [
        f'<rect x="{MARGIN}" y="{top:.0f}" width="{WIDTH - 2 * MARGIN}" height="{height:.0f}"'
        f' rx="6" fill="{fill}" stroke="#8899aa"/>',
        _text(MARGIN + BOX_PADDING, top + 18, f"{stop.room}/", weight="bold", size=14),
        _text(WIDTH - MARGIN - BOX_PADDING, top + 18, stop.runs_in, anchor="end", fill="#8a4b00"),
        _text(MARGIN + BOX_PADDING, top + 36, first_sentence(root, stop.room)),
    ]
    for index, (name, lines) in enumerate(zip(stop.modules, wrapped, strict=True)):
        left = MARGIN + BOX_PADDING + index * (width + BOX_PADDING)
        parts.append(
            f'<rect x="{left:.1f}" y="{top + BOX_TOP:.0f}" width="{width:.1f}" height="{box:.0f}"'
            ' rx="4" fill="#ffffff" stroke="#aabbcc"/>'
        )
        baseline = top + BOX_TOP + BOX_PADDING + 10
        parts.append(_text(left + 8, baseline, name, weight="bold"))
        parts += [
            _text(left + 8, baseline + LINE * (number + 1), line)
            for number, line in enumerate(lines)
        ]
    return height, parts


def _arrow(top: float) -> str:
    middle, end = WIDTH / 2, top + GAP - 2
    return (
        f'<path d="M{middle:.0f} {top + 2:.0f}V{end:.0f}m-6 -7l6 7l6 -7" fill="none"'
        ' stroke="#445566" stroke-width="2"/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 12,
    fill: str = "#223344",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' font-size="{size}" fill="{fill}">{escape(words)}</text>'
    )


def rooms(root: Path = ROOT) -> Iterator[str]:
    """Return the packages of the service, from the repository's root."""
    for init in sorted((root / "service").glob("*/__init__.py")):
        yield init.parent.relative_to(root).as_posix()


if __name__ == "__main__":
    (ROOT / PICTURE).write_text(drawing(), encoding="utf-8")
