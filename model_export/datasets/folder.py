"""A plain folder of images and masks: the form for a set of one's own.

Layout: `images/STEM.*` (PNG, JPEG, TIFF or DICOM), `masks/STEM.*` of the same stems, and, where
more is known, `table.csv` with a column `name` (the stem) and any of `patient`,
`pixel_spacing_mm`, `laterality`, `view`, `has_lesion`, `density`, `manufacturer`.

A mask is white where the lesion is; one that is all black says that there is none. Without a
table every image counts as a patient of its own, which is wrong as soon as a patient has two: the
split then leaks. Fill in `patient`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import (
    ASSUMED_LONG_SIDE_MM,
    manufacturer,
    read_mammogram,
)
from model_export.datasets.sample import Annotation, Sample
from model_export.datasets.tables import DatasetError, Row, number, read_rows
from service.imaging.geometry import spacing_or_assumed
from service.imaging.mammogram import Laterality, Mammogram

TABLE = "table.csv"

IMAGES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm"))

_YES_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}


def is_plain(folder: Path) -> bool:
    """Say whether a folder has this layout."""
    return (folder / "images").is_dir()


def read(folder: Path) -> Iterator[Sample]:
    """Read every image; the folder's name is the source's.

    A value of the table wins over what the image file says of itself.

    Parameters
    ----------
    folder
        Holds images/, masks/ and table.csv; the latter two may be missing.

    Raises
    ------
    DatasetError
        An image has neither a mask nor a `has_lesion`, both contradict each other, a mask has
        another size than its image, or a file is missing or unreadable.
    """
    stated = {row["name"]: row for row in _table(folder)}
    images = _by_stem(folder, "images")
    masks = _by_stem(folder, "masks")
    for stem in [*stated, *masks]:
        if stem not in images:
            raise DatasetError(f"images/{stem}.*, which has a row or a mask, is missing")
    for stem, image in images.items():
        yield _sample(folder, image, masks.get(stem), stated.get(stem, {}))


def _table(folder: Path) -> list[Row]:
    return read_rows(folder, TABLE, ("name",)) if (folder / TABLE).exists() else []


def _by_stem(folder: Path, part: str) -> dict[str, str]:
    if not (folder / part).is_dir():
        return {}
    files: dict[str, str] = {}
    for file in sorted((folder / part).iterdir()):
        if file.suffix.lower() not in IMAGES:
            continue
        if file.stem in files:
            raise DatasetError(f"{part}/{file.name} and {files[file.stem]} share a name")
        files[file.stem] = f"{part}/{file.name}"
    return files


def _sample(folder: Path, image: str, mask: str | None, row: Row) -> Sample:
    mammogram = read_mammogram(folder, image)
    has_lesion = _has_lesion(row, image)
    lesion: NDArray[np.bool_] | None = None
    annotation: Annotation = "image_label"
    if mask is not None:
        lesion = _lesion(folder, mask, (mammogram.rows, mammogram.columns))
        annotation = "pixel_mask" if lesion.any() else "normal"
        if has_lesion not in (None, annotation == "pixel_mask"):
            raise DatasetError(f"{mask} contradicts has_lesion in {TABLE}")
        has_lesion = annotation == "pixel_mask"
    if has_lesion is None:
        raise DatasetError(f"{image} has neither a file in masks/ nor has_lesion in {TABLE}")
    stem = Path(image).stem
    return Sample(
        source=folder.resolve().name,
        name=stem,
        patient=row.get("patient") or stem,
        pixels=mammogram.pixels,
        pixel_spacing_mm=_spacing(mammogram, row),
        has_lesion=has_lesion,
        annotation=annotation,
        lesion=lesion,
        intent=mammogram.intent,
        laterality=_laterality(row, image) or mammogram.laterality,
        view_position=row.get("view") or mammogram.view_position,
        density=row.get("density") or None,
        manufacturer=row.get("manufacturer") or manufacturer(folder, image),
    )


def _lesion(folder: Path, mask: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a mask: above half of its white is lesion. White is 1, 255 or whatever is largest."""
    suffix = Path(mask).suffix.lower()
    values = read_mammogram(folder, mask).pixels if suffix == ".dcm" else _levels(folder, mask)
    if values.shape != shape:
        raise DatasetError(f"{mask} is {values.shape}, its image {shape} (rows, columns)")
    # JPEG blurs, and leaves specks on what was all black.
    white = 255 if suffix in (".jpg", ".jpeg") else int(values.max())
    lesion: NDArray[np.bool_] = values > white / 2
    return lesion


def _levels(folder: Path, mask: str) -> NDArray[np.uint16]:
    values = cv2.imread(str(folder / mask), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    if values is None or values.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{mask} is not a readable mask of 8 or 16 bits")
    levels: NDArray[np.uint16] = values.astype(np.uint16)
    return levels


def _has_lesion(row: Row, image: str) -> bool | None:
    text = row.get("has_lesion", "").lower()
    if text and text not in _YES_NO:
        raise DatasetError(f"{TABLE}: has_lesion of {image} is {text!r}, not 1 or 0")
    return _YES_NO.get(text)


def _laterality(row: Row, image: str) -> Laterality | None:
    text = row.get("laterality", "").upper()
    if text and text not in _SIDES:
        raise DatasetError(f"{TABLE}: laterality of {image} is {text!r}, not L or R")
    return cast(Laterality | None, _SIDES.get(text))


def _spacing(mammogram: Mammogram, row: Row) -> tuple[float, float]:
    if row.get("pixel_spacing_mm"):
        spacing = number(row, "pixel_spacing_mm", TABLE)
        if spacing <= 0:
            raise DatasetError(f"{TABLE}: pixel_spacing_mm of {row['name']} is not above 0")
        return spacing, spacing
    return spacing_or_assumed(mammogram, ASSUMED_LONG_SIDE_MM)[0]
