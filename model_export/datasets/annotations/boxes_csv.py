"""boxes.csv: one row a lesion, a box in pixels of the image file.

Columns `name` (the image's stem), `x` and `y` (of the box's left top corner, from the image's),
`width` and `height`; of a label column the first that is there of `LABELS`. An image without a row
is not said to be normal: the file lists what was boxed.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from model_export.datasets.annotations.shapes import ImageShapes, LesionShape
from model_export.datasets.own_tables import Columns, read_own_rows
from model_export.datasets.sample import LesionBox
from model_export.datasets.tables import number

FILE = "boxes.csv"
COLUMNS = ("name", "x", "y", "width", "height")
LABELS = ("pathology", "label", "class", "category", "finding")
TABLE = Columns(
    FILE,
    COLUMNS,
    LABELS,
    {
        "name": ("image", "imageid", "imagename", "file", "filename", "stem", "id"),
        "x": ("xmin", "x1", "x0", "left"),
        "y": ("ymin", "y1", "y0", "top"),
        "width": ("w",),
        "height": ("h",),
    },
)


def read(folder: Path) -> Mapping[str, ImageShapes]:
    """Read boxes.csv; nothing where the folder has none.

    Raises
    ------
    DatasetError
        A column is missing, doubled or called otherwise, or a coordinate is not a number.
    """
    if not (folder / FILE).exists():
        return {}
    shapes: dict[str, list[LesionShape]] = defaultdict(list)
    for line, row in read_own_rows(folder, TABLE):
        where = f"{FILE}, line {line}"
        box = LesionBox(*(number(row, column, where) for column in COLUMNS[1:]))
        label = next((row[column] for column in LABELS if column in row), "")
        shapes[row["name"]].append(LesionShape(where, box, label=label or None))
    return {name: ImageShapes(own[0].where, tuple(own)) for name, own in shapes.items()}
