"""One reader per data set, all yielding `Sample`."""

from collections.abc import Callable, Iterator
from pathlib import Path

from model_export.datasets import cdd_cesm, mini_mias, rsna_640
from model_export.datasets.sample import Annotation, Sample

READERS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    cdd_cesm.SOURCE: cdd_cesm.read,
    mini_mias.SOURCE: mini_mias.read,
    rsna_640.SOURCE: rsna_640.read,
}
"""Source name, which is also its folder's name, to reader."""

__all__ = ["READERS", "Annotation", "Sample"]
