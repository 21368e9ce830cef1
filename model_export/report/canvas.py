"""The look that all plots share."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 110

PANEL = 3.5
"""Inches a side of a panel."""

NET, BASELINE, QUIET, ALARM = "#0b6e8f", "#c77d1e", "#8a97a3", "#b3364b"
INK = "#3d4852"
SERIES = (NET, BASELINE, "#7a4f9a", "#4c8c4a", ALARM)

STYLE = Path(__file__).parent / "report.mplstyle"


@dataclass(frozen=True, slots=True)
class Plot:
    """A PNG file with the stem of its name, its title and its caption."""

    name: str
    title: str
    caption: str
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style while in the context; nothing global stays changed."""
    with matplotlib.style.context(STYLE):
        yield


def row_of_panels(panels: int) -> tuple[Figure, list[Axes]]:
    """Return a canvas with square panels side by side; a lone panel keeps its size."""
    columns = max(2, panels)
    canvas = Figure(figsize=(columns * PANEL, PANEL), dpi=DPI, layout="constrained")
    return canvas, [canvas.add_subplot(1, columns, index + 1) for index in range(panels)]


def png(canvas: Figure) -> bytes:
    """Encode a canvas; the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
