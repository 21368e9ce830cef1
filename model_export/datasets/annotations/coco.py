"""COCO JSON: boxes in pixels, with polygons or run lengths (RLE) where outlines are known.

Files: `annotations.json`, `_annotations.coco.json`, `instances*.json`, in the folder itself, in
annotations/ or in images/; several are read together. An image that a file lists without an
annotation has no lesion. Every annotation is a lesion, whatever its category. Only the last part of
`file_name` counts, and of that the stem: a set is often converted to another image format later.

Format: cocodataset.org/#format-data; run lengths as in pycocotools (`maskApi.c`).
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from model_export.datasets.annotations.run_lengths import run_lengths
from model_export.datasets.annotations.shapes import ImageShapes, LesionShape, Points
from model_export.datasets.sample import LesionBox
from model_export.datasets.tables import DatasetError

PATHS = ("", "annotations/", "images/")
PATTERNS = ("annotations.json", "_annotations.coco.json", "instances*.json")

MIN_CORNERS = 3

Key = int | str
"""Identifier of an image or a category."""

Entry = dict[str, Any]


def read(folder: Path) -> Mapping[str, ImageShapes]:
    """Read every COCO file of the folder; nothing where there is none.

    Raises
    ------
    DatasetError
        A file is not COCO JSON, or contradicts itself or another one.
    """
    found: dict[str, ImageShapes] = {}
    for path in _files(folder):
        for stem, shapes in _read(folder / path, path):
            if stem in found:
                raise DatasetError(f"{shapes.where} and {found[stem].where} share a name")
            found[stem] = shapes
    return found


def _files(folder: Path) -> list[str]:
    return [
        f"{path}{file.name}"
        for path in PATHS
        for pattern in PATTERNS
        for file in sorted((folder / path).glob(pattern))
    ]


def _read(path: Path, file: str) -> Iterator[tuple[str, ImageShapes]]:
    content = _content(path, file)
    images = _by_id(_entries(content, "images", file), "image", file)
    categories = {
        key: str(one.get("name", key))
        for key, one in _by_id(_entries(content, "categories", file, []), "category", file).items()
    }
    shapes: dict[Key, list[LesionShape]] = defaultdict(list)
    for index, one in enumerate(_entries(content, "annotations", file)):
        where = f"{file}: annotation {one.get('id', f'at place {index}')}"
        image = one.get("image_id")
        if not isinstance(image, Key) or image not in images:
            raise DatasetError(f"{where} is of image {image!r}, which 'images' does not list")
        shapes[image].append(_shape(one, where, categories))
    for key, image in images.items():
        name = image.get("file_name")
        where = f"{file}: image {key} ({name})"
        if not isinstance(name, str) or not name:
            raise DatasetError(f"{file}: image {key} has no file_name")
        stem = PurePosixPath(name.replace("\\", "/")).stem
        yield stem, ImageShapes(where, tuple(shapes[key]), _size(image, where))


def _content(path: Path, file: str) -> Entry:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    # A file nested too deeply is none of COCO's either.
    except (OSError, ValueError, RecursionError):
        raise DatasetError(f"{file} is not readable JSON") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{file} is not COCO: no object with 'images' and 'annotations'")
    return content


def _entries(content: Entry, key: str, file: str, absent: list[Entry] | None = None) -> list[Entry]:
    entries = content.get(key, absent)
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise DatasetError(f"{file} is not COCO: it has no list {key!r} of objects")
    return entries


def _by_id(entries: list[Entry], kind: str, file: str) -> dict[Key, Entry]:
    found: dict[Key, Entry] = {}
    for one in entries:
        key = one.get("id")
        if not isinstance(key, Key):
            raise DatasetError(f"{file}: the id of an {kind} is {key!r}, no number or text")
        if key in found:
            raise DatasetError(f"{file}: two of the {kind} entries have the id {key}")
        found[key] = one
    return found


def _size(image: Entry, where: str) -> tuple[int, int] | None:
    if "width" not in image or "height" not in image:
        return None
    columns, rows = (number(image[key], where) for key in ("width", "height"))
    return round(columns), round(rows)


def _shape(one: Entry, where: str, categories: Mapping[Key, str]) -> LesionShape:
    category = one.get("category_id")
    if categories and (not isinstance(category, Key) or category not in categories):
        raise DatasetError(f"{where} is of category {category!r}, which 'categories' does not list")
    label = categories[category] if categories and category is not None else None
    box = _box(one["bbox"], where) if one.get("bbox") else None
    outline = one.get("segmentation")
    if isinstance(outline, dict):
        return LesionShape(where, box, mask=run_lengths(outline, where), label=label)
    polygons = _polygons(outline, where) if outline else ()
    if box is None and not polygons:
        raise DatasetError(f"{where} has neither a bbox nor a segmentation")
    return LesionShape(where, box, polygons, label=label)


def _box(value: object, where: str) -> LesionBox:
    if not isinstance(value, list) or len(value) != 4:
        raise DatasetError(f"{where}: bbox is not a list of x, y, width and height")
    return LesionBox(*(number(each, where) for each in value))


def _polygons(value: object, where: str) -> tuple[Points, ...]:
    if not isinstance(value, list) or not all(isinstance(part, list) for part in value):
        raise DatasetError(f"{where}: segmentation is neither a list of polygons nor run lengths")
    for part in value:
        if len(part) < 2 * MIN_CORNERS or len(part) % 2:
            raise DatasetError(
                f"{where}: a polygon has {len(part)} numbers, not the x and y of three or more"
            )
    return tuple(np.array([number(each, where) for each in part]).reshape(-1, 2) for part in value)


def number(value: object, where: str) -> float:
    """Return a JSON value as a finite number; whatever else it is, is named."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(converted := float(value)):
                return converted
        except OverflowError:
            pass
    raise DatasetError(f"{where}: {str(value)[:40]!r} is not a number")
