"""INbreast: full-field digital mammograms with outlines drawn in OsiriX.

Moreira et al., "INbreast: toward a full-field digital mammographic database", Academic Radiology
2012. Layout, as released: INbreast.csv, AllDICOMs/NUMBER_PATIENT_MG_SIDE_VIEW_ANON.dcm,
AllXML/NUMBER.xml for the images that have annotations.
"""

import plistlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import ASSUMED_LONG_SIDE_MM, manufacturer, read_mammogram
from model_export.datasets.sample import Annotation, Sample
from model_export.datasets.tables import DatasetError, Row, read_rows
from service.imaging.mammogram import Laterality
from service.imaging.pixel_size import spacing_or_assumed

SOURCE = "inbreast"

TABLE = "INbreast.csv"
COLUMNS = ("Laterality", "View", "File Name", "ACR", "Bi-Rads")

POINT_RADIUS_MM = 0.5
"""Of the disc drawn for a finding marked by one or two points: single calcifications, which seldom
measure more than a millimetre."""

SUSPICIOUS = "3456"
"""First characters of the BI-RADS categories that report a finding which may be malignant."""

NO_LESION = "pectoral"
"""Start of the names of outlines that are anatomy."""

_FILE = re.compile(r"(?P<number>\d+)_(?P<patient>[0-9a-zA-Z]+)_MG_")

Points = Sequence[tuple[float, float]]


def read(folder: Path) -> Iterator[Sample]:
    """Read every image of the table.

    Outlines of masses, clusters, distortions, asymmetries and spiculated regions are filled;
    findings marked by points become small discs. Without annotations an image is normal, unless
    its report is suspicious: then it is known only as positive.

    Parameters
    ----------
    folder
        Holds INbreast.csv, AllDICOMs and AllXML.

    Raises
    ------
    DatasetError
        The table, a column or an image is missing, or an annotation cannot be read.
    """
    rows = read_rows(folder, TABLE, COLUMNS, delimiter=";")
    images = {
        match["number"]: (file.name, match["patient"])
        for file in sorted((folder / "AllDICOMs").glob("*.dcm"))
        if (match := _FILE.match(file.name))
    }
    for row in rows:
        number = row["File Name"]
        if number not in images:
            raise DatasetError(f"AllDICOMs/{number}_*.dcm, which {TABLE} names, is missing")
        yield _sample(folder, row, *images[number])


def _sample(folder: Path, row: Row, file: str, patient: str) -> Sample:
    name = f"AllDICOMs/{file}"
    mammogram = read_mammogram(folder, name)
    spacing, _ = spacing_or_assumed(mammogram, ASSUMED_LONG_SIDE_MM)
    shape = (mammogram.rows, mammogram.columns)
    lesion: NDArray[np.bool_] | None = draw(_outlines(folder, row["File Name"]), shape, spacing)
    annotation: Annotation = "pixel_mask"
    if not np.any(lesion):
        annotation = "normal"
        if row["Bi-Rads"][:1] in tuple(SUSPICIOUS):
            lesion, annotation = None, "image_label"
    return Sample(
        source=SOURCE,
        name=row["File Name"],
        patient=patient,
        pixels=mammogram.pixels,
        pixel_spacing_mm=spacing,
        has_lesion=annotation != "normal",
        annotation=annotation,
        lesion=lesion,
        intent=mammogram.intent,
        laterality=cast(Laterality, row["Laterality"]),
        view_position=row["View"],
        density=row["ACR"] or None,
        manufacturer=manufacturer(folder, name),
    )


def _outlines(folder: Path, number: str) -> list[Points]:
    """Read the findings of an image as points (x, y) in pixels; none where there is no file."""
    name = f"AllXML/{number}.xml"
    path = folder / name
    if not path.exists():
        return []
    try:
        images: list[dict[str, Any]] = plistlib.loads(path.read_bytes())["Images"]
        return [
            [_point(text) for text in region["Point_px"]]
            for image in images
            for region in image["ROIs"]
            if not str(region.get("Name", "")).lower().startswith(NO_LESION)
        ]
    except Exception as error:
        raise DatasetError(f"{name} is not a list of OsiriX regions: {error!r}") from error


def _point(text: str) -> tuple[float, float]:
    x, y = (float(part) for part in text.strip("() ").split(","))
    return x, y


def draw(
    outlines: Sequence[Points], shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Fill outlines, and draw a disc for each point of those that have no area.

    Parameters
    ----------
    outlines
        Points (x, y) in pixels, x = column, from the top left.
    shape
        (rows, columns) of the image.
    spacing_mm
        Between (row, column) centres.
    """
    canvas = np.zeros(shape, np.uint8)
    axes = (
        max(1, round(POINT_RADIUS_MM / spacing_mm[1])),
        max(1, round(POINT_RADIUS_MM / spacing_mm[0])),
    )
    for points in outlines:
        pixels = np.round(np.asarray(points, np.float64).reshape(-1, 2)).astype(np.int32)
        if len(pixels) > 2:
            cv2.fillPoly(canvas, [pixels], 1)
            continue
        for x, y in pixels:
            cv2.ellipse(canvas, (int(x), int(y)), axes, 0.0, 0.0, 360.0, 1, cv2.FILLED)
    return canvas.astype(np.bool_)
