"""Figures as a table to look at, and as JSON and Markdown to keep."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from model_export.evaluation import Figure

HEADINGS = ("figure", "value", "95 % interval", "images", "patients")


def table(figures: Mapping[str, Figure]) -> Table:
    """Give a table for the terminal."""
    shown = Table(*HEADINGS, title="test patients, through service.segmenter")
    for name, figure in figures.items():
        shown.add_row(*_cells(name, figure))
    return shown


def markdown(figures: Mapping[str, Figure]) -> str:
    """Give a Markdown table."""
    rows = [HEADINGS, ("---",) * len(HEADINGS)]
    rows += [_cells(name, figure) for name, figure in figures.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def save(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures.json and figures.md."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: asdict(figure) for name, figure in figures.items()}
    (folder / "figures.json").write_text(json.dumps(plain, indent=2) + "\n")
    (folder / "figures.md").write_text(markdown(figures))


def _cells(name: str, figure: Figure) -> tuple[str, str, str, str, str]:
    interval = f"{figure.low:.3f} to {figure.high:.3f}"
    return name, f"{figure.value:.3f}", interval, str(figure.images), str(figure.patients)
