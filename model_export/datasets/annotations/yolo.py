"""YOLO: labels/STEM.txt, a line a lesion, coordinates as shares of the image's sides.

A line is `class cx cy width height` (centre and size of a box), or `class x1 y1 x2 y2 x3 y3 ...`
(the corners of an outline, three at least). An empty file says that the image has no lesion; an
image without a file is not said to be normal. Names of the classes come from `classes.txt`, in the
folder or in labels/, or from `names` in `data.yaml` or `dataset.yaml`, where one of these is there.

Formats: docs.ultralytics.com/datasets/detect and /segment.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from model_export.datasets.annotations.shapes import ImageShapes, LesionShape
from model_export.datasets.sample import LesionBox
from model_export.datasets.tables import DatasetError

FOLDER = "labels"
CLASSES = "classes.txt"
DESCRIPTIONS = ("data.yaml", "dataset.yaml")

BOX_NUMBERS = 5
MIN_OUTLINE_NUMBERS = 7
"""Of a line: a class and three corners."""

Names = Mapping[int, str] | None
"""Class to name; None where no file names them."""


def read(folder: Path) -> Mapping[str, ImageShapes]:
    """Read every .txt file in labels/; nothing where there is none.

    Raises
    ------
    DatasetError
        A line is neither a box nor an outline, or its class is not among the names.
    """
    if not (folder / FOLDER).is_dir():
        return {}
    names = _names(folder)
    found: dict[str, ImageShapes] = {}
    for file in sorted((folder / FOLDER).iterdir()):
        if file.suffix.lower() != ".txt" or file.name == CLASSES:
            continue
        where = f"{FOLDER}/{file.name}"
        lines = enumerate(_text(file, where).splitlines(), start=1)
        shapes = [_shape(line, f"{where}, line {n}", names) for n, line in lines if line.strip()]
        if file.stem in found:
            raise DatasetError(f"{where} and {found[file.stem].where} share a name")
        found[file.stem] = ImageShapes(where, tuple(shapes), relative=True)
    return found


def _text(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DatasetError(f"{where} is not a readable text file") from None


def _shape(line: str, where: str, names: Names) -> LesionShape:
    numbers = [_number(cell, where) for cell in line.split()]
    label = _label(numbers[0], where, names)
    if len(numbers) == BOX_NUMBERS:
        _, x, y, width, height = numbers
        box = LesionBox(x - width / 2, y - height / 2, width, height)
        return LesionShape(where, box, label=label)
    if len(numbers) == BOX_NUMBERS + 1:
        raise DatasetError(f"{where} has six numbers: a net's answer with its confidence, no truth")
    if len(numbers) < MIN_OUTLINE_NUMBERS or len(numbers) % 2 == 0:
        raise DatasetError(
            f"{where} has {len(numbers)} numbers: not a class and a box of 4, nor a class and the "
            "x and y of three corners or more"
        )
    return LesionShape(where, polygons=(np.array(numbers[1:]).reshape(-1, 2),), label=label)


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{where}: {cell!r} is not a number")
    return value


def _label(number: float, where: str, names: Names) -> str:
    if number < 0 or number != int(number):
        raise DatasetError(f"{where}: the class is {number:g}, not 0, 1, 2 ...")
    if names is None:
        return f"class {int(number)}"
    if int(number) not in names:
        raise DatasetError(f"{where}: class {int(number)} has no name, where others have")
    return names[int(number)]


def _names(folder: Path) -> Names:
    for name in (CLASSES, f"{FOLDER}/{CLASSES}"):
        if (folder / name).is_file():
            lines = [line.strip() for line in _text(folder / name, name).splitlines()]
            return dict(enumerate(line for line in lines if line))
    for name in DESCRIPTIONS:
        if (folder / name).is_file():
            return _described(folder / name, name)
    return None


def _described(file: Path, where: str) -> Names:
    try:
        content = yaml.safe_load(_text(file, where))
    # Dates that are none are a ValueError, and so deep a nesting is no list of names.
    except (yaml.YAMLError, ValueError, RecursionError):
        raise DatasetError(f"{where} is not YAML") from None
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return None
    if isinstance(names, Sequence) and not isinstance(names, str):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(isinstance(number, int) for number in names):
        return {number: str(name) for number, name in names.items()}
    raise DatasetError(f"{where}: 'names' is neither a list nor numbers with names")
