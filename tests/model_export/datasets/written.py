"""The same lesions written in every format that a plain folder may hold."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Box = tuple[float | str, float | str, float | str, float | str]
"""x, y, width and height in pixels; text where a fault is wanted."""

Boxes = Mapping[str, Sequence[Box]]

SIZE = (96, 128)
"""(columns, rows) of the images of the tests."""


@dataclass(frozen=True)
class Written:
    """How a format is written, and how its reader names the only box of image "a"."""

    write: Callable[[Path, Boxes, tuple[int, int]], None]
    row: str
    says_normal: bool


def write_boxes_csv(folder: Path, boxes: Boxes, size: tuple[int, int]) -> None:
    """Write boxes.csv with a column `pathology`."""
    lines = [
        f"{name},{','.join(str(value) for value in box)},BENIGN"
        for name, own in boxes.items()
        for box in own
    ]
    text = "\n".join(["name,x,y,width,height,pathology", *lines])
    (folder / "boxes.csv").write_text(text + "\n")


def write_coco(folder: Path, boxes: Boxes, size: tuple[int, int]) -> None:
    """Write annotations.json; ids count from 1."""
    images = [
        {"id": number, "file_name": f"{name}.jpg", "width": size[0], "height": size[1]}
        for number, name in enumerate(boxes, start=1)
    ]
    owners = [(number, box) for number, own in enumerate(boxes.values(), start=1) for box in own]
    annotations = [
        {"id": number, "image_id": image, "category_id": 7, "bbox": list(box), "segmentation": []}
        for number, (image, box) in enumerate(owners, start=1)
    ]
    write_json(folder, images, annotations)


def write_json(
    folder: Path, images: object, annotations: object, name: str = "annotations.json"
) -> None:
    """Write a COCO file with one category, "BENIGN", whose id is 7."""
    categories = [{"id": 7, "name": "BENIGN"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def write_yolo(folder: Path, boxes: Boxes, size: tuple[int, int]) -> None:
    """Write labels/ and classes.txt; a box that is no numbers is written as it is."""
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("MALIGNANT\nBENIGN\n")
    for name, own in boxes.items():
        lines = [f"1 {_shares(box, size)}\n" for box in own]
        (folder / "labels" / f"{name}.txt").write_text("".join(lines))


def _shares(box: Box, size: tuple[int, int]) -> str:
    if any(isinstance(value, str) for value in box):
        return " ".join(str(value) for value in box)
    x, y, width, height = (float(value) for value in box)
    values = ((x + width / 2) / size[0], (y + height / 2) / size[1], width / size[0])
    return " ".join(f"{value:.6f}" for value in (*values, height / size[1]))


WRITTEN = {
    "boxes.csv": Written(write_boxes_csv, r"boxes\.csv, line 2", says_normal=False),
    "COCO": Written(write_coco, r"annotations\.json: annotation 1", says_normal=True),
    "YOLO": Written(write_yolo, r"labels/a\.txt, line 1", says_normal=True),
}
"""One row a format, under its name in `annotations.FORMATS`."""


def runs(mask: NDArray[np.bool_]) -> dict[str, object]:
    """Return a mask as COCO's run lengths, not packed."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]).tolist()
    ends = [0, *edges] if not edges or edges[-1] == mask.size else [0, *edges, mask.size]
    return {"size": list(mask.shape), "counts": np.diff(ends).tolist()}
