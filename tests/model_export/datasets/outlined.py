"""An image whose lesion is written as COCO or YOLO would."""

from pathlib import Path
from typing import Any

import cv2

from model_export.datasets import folder
from model_export.datasets.sample import Sample
from model_export.phantom import breast_phantom
from tests.model_export.datasets.written import write_json

SIDE = 128

TRIANGLE = [20.0, 30.0, 60.0, 30.0, 20.0, 70.0]
"""Its area is 800 pixels."""


def image(root: Path, name: str = "a", shape: tuple[int, int] = (SIDE, SIDE)) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    breast = breast_phantom(SIDE)[: shape[0], : shape[1]]
    cv2.imwrite(str(root / "images" / f"{name}.png"), breast)
    return root


def coco(root: Path, *annotations: dict[str, Any], shape: tuple[int, int] = (SIDE, SIDE)) -> Path:
    image(root, shape=shape)
    whole = [
        {"id": number, "image_id": 1, "category_id": 7} | one
        for number, one in enumerate(annotations, start=1)
    ]
    write_json(root, [{"id": 1, "file_name": "a.png"}], whole)
    return root


def yolo(root: Path, text: str) -> Path:
    image(root)
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text(text)
    return root


def only(root: Path) -> Sample:
    (sample,) = folder.read(root)
    assert sample.lesion is not None
    return sample
