"""One row an image: what the table on the terminal and `scores.csv` say of it."""

import csv
import io
from collections.abc import Iterable, Mapping

from service.batch.journal_line import Row
from service.batch.sources import Source
from service.findings import Findings
from service.outputs.result import SegmentationResult, result_of

COLUMNS = (
    "file",
    "results",
    "sop_instance_uid",
    "laterality",
    "view_position",
    "frame",
    "rows",
    "columns",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "score",
    "threshold",
    "decision",
    "gated",
    "regions",
    "selected_regions",
    "mask_area_mm2",
    "max_probability",
    "warnings",
    "model",
    "model_version",
    "model_sha256",
    "problem",
)
"""Of the CSV; `problem` is the code of a file that was refused, whose row has no more."""


def row_of(source: Source, findings: Findings) -> Row:
    """Return the row of an image."""
    scores = scores_of(result_of(findings, (), 0))
    return {"file": str(source.path), "results": source.name, **scores, "problem": None}


def scores_of(result: SegmentationResult) -> Row:
    """Return what a row says of an image, wherever it lies: the same numbers as its JSON has."""
    image, has_mask = result.image, result.has_mask
    spacing = image.pixel_spacing_mm or (None, None)
    return {
        "sop_instance_uid": image.sop_instance_uid,
        "laterality": image.laterality,
        "view_position": image.view_position,
        "frame": image.frame,
        "rows": image.rows,
        "columns": image.columns,
        "pixel_spacing_row_mm": spacing[0],
        "pixel_spacing_column_mm": spacing[1],
        "score": has_mask.score,
        "threshold": has_mask.threshold,
        "decision": has_mask.decision,
        "gated": result.mask.gated,
        "regions": len(result.regions),
        "selected_regions": sum(region.selected for region in result.regions),
        "mask_area_mm2": result.mask.area_mm2,
        "max_probability": max((region.max_probability for region in result.regions), default=0.0),
        "warnings": " ".join(warning.code for warning in result.warnings),
        "model": result.model.name,
        "model_version": result.model.version,
        "model_sha256": result.model.sha256,
    }


def refused_row(source: Source, code: str) -> Row:
    """Return the row of a file that was refused."""
    return {"file": str(source.path), "results": source.name, "problem": code}


def to_csv(rows: Iterable[Row]) -> bytes:
    """Return rows as CSV (RFC 4180), UTF-8; what is not known is empty, yes and no are 1 and 0."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row, column) for column in COLUMNS])
    # A file's name may be bytes that are no text; they stay what they are.
    return text.getvalue().encode("utf-8", "surrogateescape")


def is_table_of(content: bytes, rows: Iterable[Row]) -> bool:
    """Say whether a CSV is one that `to_csv` wrote of some of these rows, and of refused ones."""
    known = {tuple(_text(row, column) for column in COLUMNS) for row in rows}
    text = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
    try:
        first, *others = csv.reader(text)
    except (csv.Error, ValueError):
        return False
    return tuple(first) == COLUMNS and all(
        tuple(line) in known or _is_refused(line) for line in others
    )


def _is_refused(line: list[str]) -> bool:
    cells = {column: cell for column, cell in zip(COLUMNS, line, strict=False) if cell}
    return len(line) == len(COLUMNS) and cells.keys() == {"file", "results", "problem"}


def _text(row: Row, column: str) -> str:
    value = _cell(row, column)
    return "" if value is None else str(value)


def _cell(row: Mapping[str, object], column: str) -> object:
    value = row.get(column)
    return int(value) if isinstance(value, bool) else value
