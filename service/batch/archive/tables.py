"""The ledger as Parquet: `scores`, `regions` and `items`, each written whole, in a fixed order."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from service.batch.archive.ledger import Ledger
from service.batch.results import NotWritten
from service.system.whole_file import whole_file

GROUP_ROWS = 16_384

KEYS = (("image", pa.string()), ("study", pa.string()), ("series", pa.string()))

SCORES = pa.schema(
    [
        *KEYS,
        ("results", pa.string()),
        ("laterality", pa.string()),
        ("view_position", pa.string()),
        ("frame", pa.int32()),
        ("rows", pa.int32()),
        ("columns", pa.int32()),
        ("pixel_spacing_row_mm", pa.float64()),
        ("pixel_spacing_column_mm", pa.float64()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("decision", pa.bool_()),
        ("gated", pa.bool_()),
        ("regions", pa.int32()),
        ("selected_regions", pa.int32()),
        ("mask_area_mm2", pa.float64()),
        ("max_probability", pa.float64()),
        ("warnings", pa.string()),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("model_sha256", pa.string()),
    ]
)

REGIONS = pa.schema(
    [
        *KEYS,
        ("number", pa.int32()),
        ("left", pa.int32()),
        ("top", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("centroid_x", pa.float64()),
        ("centroid_y", pa.float64()),
        ("area_mm2", pa.float64()),
        ("max_probability", pa.float64()),
        ("mean_probability", pa.float64()),
        ("selected", pa.bool_()),
        ("label", pa.string()),
    ]
)

ITEMS = pa.schema(
    [(name, pa.string()) for name in ("location", "state", "code", "image", "result")],
)


TABLES = {
    "scores.parquet": (SCORES, Ledger.scores),
    "regions.parquet": (REGIONS, Ledger.regions),
    "items.parquet": (ITEMS, Ledger.items),
}
"""By name: schema, and whence the rows are."""


def write_tables(ledger: Ledger) -> None:
    """Write the three tables into the ledger's folder, over those of an earlier run.

    Raises
    ------
    NotWritten
        The disk takes nothing more.
    """
    for name, (schema, rows) in TABLES.items():
        _write(ledger.folder / name, schema, rows(ledger))


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
    # As `write_whole`, but never all of it in memory.
    try:
        with (
            whole_file(path) as partial,
            pq.ParquetWriter(partial, schema, compression="zstd") as writer,
        ):
            for group in _groups(iter(rows)):
                writer.write_table(pa.Table.from_pylist(group, schema))
    except OSError as error:
        raise NotWritten(f"{path} cannot be written: {error.strerror or 'I/O error'}") from None


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := list(islice(rows, GROUP_ROWS)):
        yield group
