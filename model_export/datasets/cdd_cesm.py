"""CDD-CESM: low-energy digital mammograms with the radiologists' outlines.

Khaled et al., "Categorized contrast enhanced mammography dataset for diagnostic and artificial
intelligence research", Scientific Data 2022; TCIA 10.7937/29kw-ae92. All images hold a suspicious
or malignant finding. Layout: manifest.csv, images/NAME.jpg, masks/NAME.png.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from model_export.datasets.images import read_grey, widen
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError, number, read_rows
from service.imaging.mammogram import Laterality

SOURCE = "cdd-cesm"

TABLE = "manifest.csv"
COLUMNS = ("name", "patient", "side", "view", "density", "machine", "scale")

ORIGINAL_SPACING_MM = 0.1
"""Of the GE originals; the source does not state it, and `scale` tells how much was shrunk."""


def read(folder: Path) -> Iterator[Sample]:
    """Read every image of the manifest that has an outline.

    Parameters
    ----------
    folder
        Holds manifest.csv, images/ and masks/.

    Raises
    ------
    DatasetError
        The table, one of its columns or a file that it names is missing, or a scale is none.
    """
    for row in read_rows(folder, TABLE, COLUMNS):
        lesion = read_grey(folder, f"masks/{row['name']}.png") > 127
        if not lesion.any():
            continue
        scale = number(row, "scale", TABLE)
        if scale <= 0:
            raise DatasetError(f"{TABLE}: scale of {row['name']} is not above 0")
        spacing = ORIGINAL_SPACING_MM / scale
        yield Sample(
            source=SOURCE,
            name=row["name"],
            patient=row["patient"],
            pixels=widen(read_grey(folder, f"images/{row['name']}.jpg")),
            pixel_spacing_mm=(spacing, spacing),
            has_lesion=True,
            annotation="pixel_mask",
            lesion=lesion,
            intent="presentation",
            laterality=cast(Laterality, row["side"]),
            view_position=row["view"],
            density=row["density"].strip("_") or None,
            manufacturer=f"machine {row['machine']}" if row["machine"] else None,
        )
