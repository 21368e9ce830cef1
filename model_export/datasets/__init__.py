"""One reader per data set, all yielding `Sample`.

A source is a folder below the data folder, and its name decides how it is read: a name in
`READERS` by that reader, any other that holds `images/` as a plain folder (see `folder.py`). So a
set of one's own needs no code: put it beside the others and name it in the training config's mix.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from model_export.datasets import (
    cbis_ddsm,
    cbis_ddsm_800,
    cdd_cesm,
    folder,
    inbreast,
    mini_mias,
    rsna_640,
)
from model_export.datasets.sample import Annotation, Sample
from model_export.datasets.tables import DatasetError

READERS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    cbis_ddsm.SOURCE: cbis_ddsm.read,
    cbis_ddsm_800.SOURCE: cbis_ddsm_800.read,
    cdd_cesm.SOURCE: cdd_cesm.read,
    inbreast.SOURCE: inbreast.read,
    mini_mias.SOURCE: mini_mias.read,
    rsna_640.SOURCE: rsna_640.read,
}
"""Source name, which is also its folder's name, to reader."""


def read_source(data: Path, source: str) -> Iterator[Sample]:
    """Read a source by its name.

    Parameters
    ----------
    data
        Holds one folder a source.
    source
        The folder's name.

    Raises
    ------
    DatasetError
        No such folder, or no reader for it; while reading, whatever its reader finds wrong.
    """
    if not (data / source).is_dir():
        raise DatasetError(f"no folder {source}/ in the data folder")
    if source in READERS:
        return READERS[source](data / source)
    if folder.is_plain(data / source):
        return folder.read(data / source)
    raise DatasetError(
        f"{source}/ is none of {', '.join(READERS)} and holds no images/ of a plain folder"
    )


def sources_in(data: Path) -> list[str]:
    """Return the names of the sources that a data folder holds, in alphabetical order.

    Raises
    ------
    DatasetError
        There is no such folder.
    """
    if not data.is_dir():
        raise DatasetError(f"no data folder {data}")
    return sorted(
        one.name
        for one in data.iterdir()
        if one.is_dir() and (one.name in READERS or folder.is_plain(one))
    )


__all__ = ["READERS", "Annotation", "DatasetError", "Sample", "read_source", "sources_in"]
