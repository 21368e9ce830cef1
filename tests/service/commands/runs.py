"""Runs of the commands that segment much, and what they leave in their folder."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app

SHAPE = (120, 96)
"""Rows and columns of an archive's images."""


def invoke(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(app, [command, *map(str, arguments)], env={"COLUMNS": "120"})


def rows(out: Path) -> list[dict[str, str]]:
    """Return the rows of `mammoseg segment`."""
    with (out / "scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(out: Path, name: str) -> list[dict[str, Any]]:
    """Return a table of `mammoseg archive`."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")
    found: list[dict[str, Any]] = parquet.read_table(out / f"{name}.parquet").to_pylist()
    return found


def summary(out: Path) -> dict[str, Any]:
    """Return what `mammoseg archive` says of all its runs."""
    told: dict[str, Any] = json.loads((out / "summary.json").read_bytes())
    return told


def states(out: Path) -> dict[str, str]:
    """Return what became of each of an archive's files, by its name."""
    return {Path(row["location"]).name: row["code"] or row["state"] for row in table(out, "items")}
