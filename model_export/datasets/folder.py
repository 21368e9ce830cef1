"""A plain folder of images with masks, boxes or outlines: the form for a set of one's own.

Layout: `images/STEM.*` (PNG, JPEG, TIFF or DICOM), and what says where lesions are, one of these or
several that agree:

- `masks/STEM.*`: white where the lesion is, or labels above 0 (`mask_file.py`); one that is all
  black says that there is none;
- `boxes.csv`: `name` (the stem), `x`, `y`, `width`, `height`, and a label column if there is one;
- COCO JSON: `annotations.json`, `_annotations.coco.json` or `instances*.json`;
- YOLO: `labels/STEM.txt`, boxes or outlines.

Their details stand in `annotations/`. Every one of their boxes and outlines is a lesion, whatever
its label, which becomes the image's `pathology`.

An image all of whose lesions are outlined, by its mask or by polygons, has annotation "pixel_mask";
one with a lesion that is known by its box alone has "box", and there `lesion` is the ellipse
inscribed in the box (`annotations/drawing.py` says why). A polygon with the four corners of a
rectangle is a box. An image is "normal" only where something says so: a black mask, a COCO image
without annotations, an empty YOLO file, or `has_lesion` 0 beside boxes or outlines of other images
(in a folder without these it is "image_label": nobody looked for places). That boxes.csv does not
name an image says nothing of it.

Where more is known, `table.csv` has a column `name` (the stem) and any of `patient`, `part` (train
or test, in the set's own split, which is kept; all images of a patient have the same),
`pixel_spacing_mm`, `laterality`, `view`, `has_lesion`, `density`, `manufacturer`, `pathology`,
`annotation`; their small and large letters are the same, and a column that is called nearly so is
refused. The last one is for lesions whose masks or outlines are not what people drew around
them: "pseudo_outline" where a net drew them, "circle" or "box" where a shape was filled.

Where the table names no patient, the Patient ID of a DICOM file does (`patients.py`); else every
image counts as a patient of its own, which is wrong as soon as a patient has two: the split then
leaks. Fill in `patient`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from model_export.datasets.annotations import ImageShapes, boxes_csv, read_all
from model_export.datasets.annotations.drawing import draw
from model_export.datasets.annotations.truth import Truth, combine
from model_export.datasets.images import (
    ASSUMED_LONG_SIDE_MM,
    manufacturer,
    read_mammogram,
)
from model_export.datasets.mask_file import read_mask
from model_export.datasets.own_tables import Columns, read_own_rows, unread
from model_export.datasets.patients import Owner, check_parts, owners_of
from model_export.datasets.sample import Annotation, Sample
from model_export.datasets.splits import Part
from model_export.datasets.tables import DatasetError, Row, number
from service.imaging.mammogram import Laterality, Mammogram
from service.imaging.pixel_size import spacing_or_assumed

TABLE = "table.csv"

COLUMNS = Columns(
    TABLE,
    ("name",),
    (
        "patient",
        "part",
        "pixel_spacing_mm",
        "laterality",
        "view",
        "has_lesion",
        "density",
        "manufacturer",
        "pathology",
        "annotation",
    ),
    {
        "name": ("image", "imageid", "imagename", "file", "filename", "stem"),
        "patient": (
            *("patientid", "patientnumber", "patientname", "pid", "mrn", "subject", "subjectid"),
            *("case", "caseid", "client", "clientid", "participant", "participantid"),
        ),
        "part": ("split", "subset", "set", "partition", "fold", "traintest"),
        "pixel_spacing_mm": (
            *("spacing", "spacingmm", "pixelspacing", "imagerpixelspacing", "pixelsize"),
            *("pixelsizemm", "mmperpixel", "pixelmm", "resolution", "resolutionmm"),
        ),
        "laterality": ("side", "breast", "breastside", "imagelaterality", "lr", "leftright"),
        "view": ("viewposition", "projection"),
        "has_lesion": ("lesion", "lesions", "positive"),
        "density": ("breastdensity", "acr", "acrdensity", "biradsdensity", "tissuedensity"),
        "manufacturer": ("vendor", "maker"),
        "pathology": ("diagnosis", "histology"),
        "annotation": ("annotationtype", "annotationkind"),
    },
)
"""Of `TABLE`."""

IMAGES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm"))

_YES_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}
_PARTS = ("train", "test")
_KINDS = ("pixel_mask", "pseudo_outline", "circle", "box")


def is_plain(folder: Path) -> bool:
    """Say whether a folder has this layout."""
    return (folder / "images").is_dir()


def read(folder: Path) -> Iterator[Sample]:
    """Read every image; the folder's name is the source's.

    A value of the table wins over what the image file says of itself, and over the labels of
    boxes and outlines.

    Parameters
    ----------
    folder
        Holds images/; masks/, files of boxes or outlines, and table.csv may be missing.

    Raises
    ------
    DatasetError
        Nothing says whether an image has lesions, two files contradict each other, a mask has
        another size than its image, a box or an outline is none or lies outside, a patient is in
        both parts, or a file is missing or unreadable. The message names file, row and reason.
    """
    images = _by_stem(folder, "images")
    if not images:
        raise DatasetError(f"images/ holds no {', '.join(sorted(IMAGES))} (nor are folders read)")
    stated = _table(folder)
    masks = _by_stem(folder, "masks")
    shapes = read_all(folder)
    for stem in [*stated, *masks]:
        if stem not in images:
            raise DatasetError(f"images/{stem}.*, which has a row or a mask, is missing")
    for stem, files in shapes.items():
        if stem not in images:
            raise DatasetError(f"{files[0].where}: there is no images/{stem}.*")
    owners = owners_of(folder, images, stated)
    parts = {stem: _part(stated.get(stem, {}), image) for stem, image in images.items()}
    check_parts(owners, parts, TABLE)
    for stem, image in images.items():
        row = stated.get(stem, {})
        mammogram = read_mammogram(folder, image)
        truth = _truth(folder, mammogram, masks.get(stem), shapes.get(stem, []), row)
        if truth is None and shapes and _has_lesion(row, image) is False:
            nothing = np.zeros((mammogram.rows, mammogram.columns), np.bool_)
            truth = Truth(TABLE, "normal", nothing, (), None)
        yield _sample(folder, image, mammogram, truth, row, owners[stem])


def owners(folder: Path) -> dict[str, Owner]:
    """Return whose each image is, by its stem; of the images, headers alone are read.

    Raises
    ------
    DatasetError
        The table is not what it should be.
    """
    return owners_of(folder, _by_stem(folder, "images"), _table(folder))


def unread_columns(folder: Path) -> dict[str, list[str]]:
    """Return the columns of the folder's tables that nothing reads, by the table's name."""
    found = {one.name: unread(folder, one) for one in (COLUMNS, boxes_csv.TABLE)}
    return {name: columns for name, columns in found.items() if columns}


def _table(folder: Path) -> dict[str, Row]:
    if not (folder / TABLE).exists():
        return {}
    stated: dict[str, Row] = {}
    for line, row in read_own_rows(folder, COLUMNS):
        if row["name"] in stated:
            raise DatasetError(f"{TABLE}, line {line}: {row['name']} has a row already")
        stated[row["name"]] = row
    return stated


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


def _truth(
    folder: Path,
    mammogram: Mammogram,
    mask: str | None,
    shapes: list[ImageShapes],
    row: Row,
) -> Truth | None:
    size = (mammogram.rows, mammogram.columns)
    white = None if mask is None else (mask, _lesion(folder, mask, size))
    row_mm, column_mm = _spacing(mammogram, row)
    return combine(white, [draw(one, size) for one in shapes], row_mm * column_mm)


def _sample(
    folder: Path, image: str, mammogram: Mammogram, truth: Truth | None, row: Row, owner: Owner
) -> Sample:
    has_lesion = _has_lesion(row, image)
    if truth is not None:
        if has_lesion not in (None, truth.annotation != "normal"):
            raise DatasetError(f"{truth.where} contradicts has_lesion in {TABLE}")
        has_lesion = truth.annotation != "normal"
    if has_lesion is None:
        raise DatasetError(
            f"{image} has neither a file in masks/ nor boxes nor outlines nor has_lesion in {TABLE}"
        )
    return Sample(
        source=folder.absolute().name,
        name=Path(image).stem,
        patient=owner.patient,
        patient_is_known=owner.is_known,
        pixels=mammogram.pixels,
        pixel_spacing_mm=_spacing(mammogram, row),
        has_lesion=has_lesion,
        annotation=_annotation(truth, row, image),
        lesion=None if truth is None else truth.lesion,
        intent=mammogram.intent,
        laterality=_laterality(row, image) or mammogram.laterality,
        view_position=row.get("view") or mammogram.view_position,
        density=row.get("density") or None,
        manufacturer=row.get("manufacturer") or manufacturer(folder, image),
        boxes=() if truth is None else truth.boxes,
        part=_part(row, image),
        pathology=row.get("pathology") or (None if truth is None else truth.pathology),
    )


def _lesion(folder: Path, mask: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    lesion = read_mask(folder, mask)
    if lesion.shape != shape:
        raise DatasetError(f"{mask} is {lesion.shape}, its image {shape} (rows, columns)")
    return lesion


def _has_lesion(row: Row, image: str) -> bool | None:
    text = row.get("has_lesion", "").lower()
    if text and text not in _YES_NO:
        raise DatasetError(f"{TABLE}: has_lesion of {image} is {text!r}, not 1 or 0")
    return _YES_NO.get(text)


def _annotation(truth: Truth | None, row: Row, image: str) -> Annotation:
    text = row.get("annotation", "")
    if text and text not in _KINDS:
        raise DatasetError(f"{TABLE}: annotation of {image} is {text!r}, not {', '.join(_KINDS)}")
    if truth is None:
        return "image_label"
    return cast(Annotation, text) if text and truth.annotation != "normal" else truth.annotation


def _part(row: Row, image: str) -> Part | None:
    text = row.get("part", "").lower()
    if text and text not in _PARTS:
        raise DatasetError(f"{TABLE}: part of {image} is {text!r}, not train or test")
    return cast(Part | None, text or None)


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
