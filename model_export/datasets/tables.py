"""Reading the tables that data sets come with, with errors that name the file and the column."""

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

Row = dict[str, str]


class DatasetError(Exception):
    """A data set on disk is not what its reader expects.

    The message names the file relative to the data set's folder.
    """


def read_rows(
    folder: Path, name: str, columns: Iterable[str], *, delimiter: str = ","
) -> list[Row]:
    """Read a CSV file whose first line names its columns.

    Values are stripped: the tables of TCIA hold line breaks inside cells. What a short row lacks
    is empty.

    Parameters
    ----------
    folder, name
        The data set's folder, and the table's path in it.
    columns
        Those that must be there; others are kept as well.
    delimiter
        Between two cells.

    Raises
    ------
    DatasetError
        The file or a column is missing, or the file is no table.
    """
    return [row for _, row in read_numbered_rows(folder, name, columns, delimiter=delimiter)]


def read_numbered_rows(
    folder: Path,
    name: str,
    columns: Iterable[str],
    *,
    delimiter: str = ",",
    heading: Callable[[Sequence[str]], Sequence[str]] = lambda given: given,
) -> list[tuple[int, Row]]:
    """Read a CSV file as `read_rows` does, each row with the number of the line it ends on.

    `heading` returns what the columns are read as, of what the first line calls them.
    """
    path = folder / name
    if not path.is_file():
        raise DatasetError(f"{name} is missing in {folder.name}/")
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as table:
        reader = csv.DictReader(table, delimiter=delimiter, restval="")
        try:
            reader.fieldnames = heading(reader.fieldnames or ())
            given = {one.strip() for one in reader.fieldnames}
            rows = [(reader.line_num, _stripped(row)) for row in reader]
        except csv.Error as error:
            raise DatasetError(f"{name}, line {reader.line_num}: {error}") from None
    missing = sorted(set(columns) - given)
    if missing:
        raise DatasetError(f"{name} has no column {', '.join(map(repr, missing))}")
    return rows


def _stripped(row: dict[str, str]) -> Row:
    # Cells beyond the last column stand under None.
    return {key.strip(): value.strip() for key, value in row.items() if isinstance(key, str)}


def number(row: Row, column: str, name: str) -> float:
    """Return a cell as a number.

    Raises
    ------
    DatasetError
        It is none, or not finite; the message names the table, the column and the cell.
    """
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{name}: {column!r} is {row[column]!r}, not a number")
    return value
