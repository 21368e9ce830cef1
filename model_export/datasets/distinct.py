"""Sets that are named together: none of them twice, and no two by one name.

A set is known by the name of its folder, everywhere: in the split, in figures, in reports. Two of
one name would be one set, with one set of patients.
"""

from collections.abc import Iterable
from pathlib import Path

from model_export.datasets.tables import DatasetError


def check_distinct(folders: Iterable[Path]) -> None:
    """Refuse folders that cannot be told apart, or are one.

    Parameters
    ----------
    folders
        Of the sets, as they were named; a link's name is its set's.

    Raises
    ------
    DatasetError
        One stands there twice, by whatever name, or two have the same name; the message says which,
        and the way out.
    """
    by_place: dict[Path, Path] = {}
    by_name: dict[str, Path] = {}
    for folder in folders:
        place, name = folder.resolve(), name_of(folder)
        if place in by_place:
            raise DatasetError(
                f"{by_place[place]} and {folder} are the same folder: each of its images would "
                "count twice"
            )
        if name in by_name:
            raise DatasetError(
                f"{by_name[name]} and {folder} are both called {name}, and their patients would be "
                f"taken for the same: give one another name, or a link of another name (ln -s "
                f"{place} {folder.absolute().parent.name}-{name})"
            )
        by_place[place], by_name[name] = folder, folder


def name_of(folder: Path) -> str:
    """Return what a set in a folder is called: the folder's own name, or its link's."""
    return folder.absolute().name if folder.name not in ("", "..") else folder.resolve().name
