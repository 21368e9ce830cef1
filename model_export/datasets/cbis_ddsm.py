"""CBIS-DDSM: digitised film with the outlines of masses and calcifications, as TCIA ships it.

Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis
research", Scientific Data 2017; TCIA 10.7937/K9/TCIA.2016.7O02S9CY.

Layout: the four tables (or some of them) and, anywhere below, one folder a case, named by the
first part of the tables' paths:

- `Mass-Training_P_00001_LEFT_CC` holds the full image,
- `Mass-Training_P_00001_LEFT_CC_1` the mask and the crop of abnormality 1.

TCIA's downloader names the folders and files inside a case by its own rules (`1-1.dcm`), and the
columns of mask and crop are swapped in many rows, so a case's files are told apart by what they
hold. Patient identifiers are shared by the mass and the calcification tables, and their own split
into training and test is not by patient over both: who is in the test part of either is a test
patient here.

Spacing: DDSM stated it for each film (42 um for the DBA scanner, 43.5 for HOWTEK, 50 for LUMISYS);
CBIS-DDSM dropped both spacing and scanner. Where the DICOM file has none, the long side is taken
as the service takes it, which is 0.051 to 0.054 mm a pixel for 12 cm x 24 cm films and thus up to
a quarter too much.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import ASSUMED_LONG_SIDE_MM, read_mammogram
from model_export.datasets.sample import Sample
from model_export.datasets.splits import Part
from model_export.datasets.tables import DatasetError, Row, read_rows
from service.imaging.mammogram import Laterality
from service.imaging.pixel_size import spacing_or_assumed

SOURCE = "cbis-ddsm"

TABLES = tuple(
    f"{kind}_case_description_{part}_set.csv"
    for kind in ("mass", "calc")
    for part in ("train", "test")
)

TESTS = tuple(name for name in TABLES if "_test_" in name)

TABLE = "table"
"""Column that the reader adds: the name of the table that a row stands in."""

COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "image file path",
    "ROI mask file path",
)

ASPECT_TOLERANCE = 0.02
"""Relative difference between the aspect ratios of an image and its mask."""

MIN_MASK_SHARE = 0.5
"""Of the image's long side; crops of two values would be smaller."""

_CASE = re.compile(r"(?:Mass|Calc)-(?:Training|Test)_(P_\d+)_(?:LEFT|RIGHT)_(?:CC|MLO)(?:_\d+)?")

Cases = dict[str, list[str]]


def read(folder: Path) -> Iterator[Sample]:
    """Read every image once, its abnormalities united.

    All of them are lesions, whatever their pathology. An image one of whose abnormalities has no
    usable mask is known only as positive: `lesion` is None.

    Parameters
    ----------
    folder
        Holds the tables and, at any depth, the folders of the cases.

    Raises
    ------
    DatasetError
        No table, no file of a case that a table names, or a file that the service refuses.
    """
    present = [name for name in TABLES if (folder / name).is_file()]
    if not present:
        raise DatasetError(f"{' or '.join(TABLES)} is missing in {folder.name}/")
    images: dict[str, list[Row]] = defaultdict(list)
    for table in present:
        for row in read_rows(folder, table, COLUMNS):
            row[TABLE] = table
            side, view = row["left or right breast"], row["image view"]
            images[f"{row['patient_id']}_{side}_{view}"].append(row)
    cases = _cases(folder)
    tests = {row["patient_id"] for rows in images.values() for row in rows if row[TABLE] in TESTS}
    for name, rows in images.items():
        part: Part = "test" if rows[0]["patient_id"] in tests else "train"
        yield _sample(folder, cases, name, rows, part)


def patient_of_case(name: str) -> str | None:
    """Return the patient in a case's name, which its DICOM files have for a Patient ID, too.

    None where it is no such name.
    """
    found = _CASE.fullmatch(name)
    return None if found is None else found[1]


def _cases(folder: Path) -> Cases:
    """Find the DICOM files of each case, largest first, relative to `folder`."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for where, _, files in os.walk(folder, followlinks=True):
        relative = Path(where).relative_to(folder)
        case = next((part for part in relative.parts if _CASE.fullmatch(part)), None)
        if case is None:
            continue
        for file in files:
            if file.lower().endswith(".dcm"):
                size = (Path(where) / file).stat().st_size
                found[case].append((-size, str(relative / file)))
    return {case: [name for _, name in sorted(files)] for case, files in found.items()}


def _files(cases: Cases, path: str) -> list[str]:
    """Return the files of the case that a table's path leads to."""
    case = path.replace("\\", "/").split("/")[0]
    if case not in cases:
        raise DatasetError(f"no DICOM file in a folder named {case}, which a table names")
    return cases[case]


def _sample(folder: Path, cases: Cases, name: str, rows: list[Row], part: Part) -> Sample:
    first = rows[0]
    mammogram = read_mammogram(folder, _files(cases, first["image file path"])[0])
    lesion = _lesion(folder, cases, rows, (mammogram.rows, mammogram.columns))
    spacing, _ = spacing_or_assumed(mammogram, ASSUMED_LONG_SIDE_MM)
    return Sample(
        source=SOURCE,
        name=name,
        patient=first["patient_id"],
        pixels=mammogram.pixels,
        pixel_spacing_mm=spacing,
        has_lesion=True,
        annotation="image_label" if lesion is None else "pixel_mask",
        lesion=lesion,
        intent=mammogram.intent,
        laterality=cast(Laterality, first["left or right breast"][:1]),
        view_position=first["image view"],
        # The mass tables and the calcification tables spell this column in two ways.
        density=first.get("breast_density") or first.get("breast density") or None,
        part=part,
        pathology="|".join(sorted({row["pathology"] for row in rows if row.get("pathology")}))
        or None,
    )


def _lesion(
    folder: Path, cases: Cases, rows: list[Row], shape: tuple[int, int]
) -> NDArray[np.bool_] | None:
    united = np.zeros(shape, np.bool_)
    for row in rows:
        # Mask and crop of an abnormality are in one case, whichever column names which.
        files = _files(cases, row["ROI mask file path"])
        masks = (_as_mask(read_mammogram(folder, file).pixels, shape) for file in files)
        mask = next((one for one in masks if one is not None), None)
        if mask is None:
            return None
        united |= mask
    return united


def _as_mask(pixels: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return the mask that these pixels are, in the image's shape; None if they are none.

    A mask holds exactly two values and has the aspect ratio of the image; some are a little
    larger or smaller than it, and are resized to their nearest pixels.
    """
    low, high = int(pixels.min()), int(pixels.max())
    rows, columns = pixels.shape
    aspect = (rows * shape[1]) / (columns * shape[0])
    if (
        low == high
        or abs(aspect - 1.0) > ASPECT_TOLERANCE
        or max(rows, columns) < MIN_MASK_SHARE * max(shape)
        or not bool(((pixels == low) | (pixels == high)).all())
    ):
        return None
    mask: NDArray[np.uint8] = (pixels == high).astype(np.uint8)
    if mask.shape != shape:
        mask = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return mask.astype(np.bool_)
