"""The file formats in which a plain folder may say where its lesions are, beside masks/.

To add one: write a module with a `read` like those here, which gives what the format says of each
image, and add its row to `FORMATS`. Checking, drawing and comparing are done for all of them by
`drawing.py` and `truth.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from model_export.datasets.annotations import boxes_csv, coco, yolo
from model_export.datasets.annotations.shapes import ImageShapes

FORMATS: dict[str, Callable[[Path], Mapping[str, ImageShapes]]] = {
    "boxes.csv": boxes_csv.read,
    "COCO": coco.read,
    "YOLO": yolo.read,
}
"""Name of the format to its reader, which takes the data set's folder and returns what it says of
each image, by the stem of the image's file: nothing at all where the folder holds no such file."""


def read_all(folder: Path) -> dict[str, list[ImageShapes]]:
    """Return what every format that the folder holds says of each image, by the image's stem.

    Raises
    ------
    DatasetError
        A file is not what its format says; the message names file, row and reason.
    """
    found: dict[str, list[ImageShapes]] = defaultdict(list)
    for read in FORMATS.values():
        for stem, shapes in read(folder).items():
            found[stem].append(shapes)
    return dict(found)


__all__ = ["FORMATS", "ImageShapes", "read_all"]
