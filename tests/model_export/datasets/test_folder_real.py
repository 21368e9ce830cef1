import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.datasets import folder
from model_export.datasets.sample import Sample
from model_export.metrics import dice
from tests.model_export.datasets.written import WRITTEN, Box, runs, write_json
from tests.thinned import thinned

pytestmark = pytest.mark.integration

EACH = 6
"""Images taken of a set."""


def linked(source: Path, names: list[str], root: Path) -> Path:
    """Make a plain folder of a shared set's images, without their masks."""
    (root / "images").mkdir(parents=True)
    for file in sorted((source / "images").iterdir()):
        if file.stem in names:
            (root / "images" / file.name).symlink_to(file)
    return root


def outlines(source: Path) -> dict[str, NDArray[np.bool_]]:
    """Return some drawn masks, each of one piece."""
    if not source.is_dir():
        pytest.skip(f"no {source.name} here")
    found: dict[str, NDArray[np.bool_]] = {}
    for file in sorted((source / "masks").glob("*.png")):
        mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 127
        if cv2.connectedComponents(mask.astype(np.uint8))[0] == 2 and mask.sum() > 100:
            found[file.stem] = mask
        if len(found) == EACH:
            break
    return found


def border(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the border of a mask of one piece, drawn outside its pixels, shape (corners, 2)."""
    fine = cv2.resize(mask.astype(np.uint8), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    pieces, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners: NDArray[np.float64] = (pieces[0].reshape(-1, 2).astype(np.float64) + 0.5) / 8
    return corners


def as_polygons(root: Path, masks: dict[str, NDArray[np.bool_]]) -> None:
    as_coco(root, [[border(mask).ravel().tolist()] for mask in masks.values()], list(masks))


def as_run_lengths(root: Path, masks: dict[str, NDArray[np.bool_]]) -> None:
    as_coco(root, [runs(mask) for mask in masks.values()], list(masks))


def as_coco(root: Path, segmentations: list[object], names: list[str]) -> None:
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(names)]
    lesions = [
        {"id": n, "image_id": n, "category_id": 7, "segmentation": one}
        for n, one in enumerate(segmentations)
    ]
    write_json(root, images, lesions)


def as_yolo(root: Path, masks: dict[str, NDArray[np.bool_]]) -> None:
    (root / "labels").mkdir()
    for name, mask in masks.items():
        shares = border(mask) / (mask.shape[1], mask.shape[0])
        line = " ".join(f"{one:.6f}" for one in shares.ravel())
        (root / "labels" / f"{name}.txt").write_text(f"0 {line}\n")


@pytest.mark.parametrize("source", thinned(["mini-mias", "cdd-cesm"], 2))
@pytest.mark.parametrize("write", [as_polygons, as_run_lengths, as_yolo])
def test_drawn_outlines_come_back_as_they_were(
    shared_data: Path,
    tmp_path: Path,
    source: str,
    write: Callable[[Path, dict[str, NDArray[np.bool_]]], None],
) -> None:
    masks = outlines(shared_data / source)
    root = linked(shared_data / source, list(masks), tmp_path / "mine")
    write(root, masks)
    samples = list(folder.read(root))
    assert len(samples) == EACH
    for one in samples:
        assert one.annotation == "pixel_mask" and len(one.boxes) == 1
        assert one.lesion is not None
        # The border alone may differ: holes are not part of an outline.
        assert dice(one.lesion, masks[one.name]) > 0.99


@pytest.mark.parametrize("name", WRITTEN)
def test_boxes_of_cbis_ddsm_come_back_and_hold_an_ellipse_like_its_outlines(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    source = shared_data / "cbis-ddsm-800"
    if not source.is_dir():
        pytest.skip("no copy of CBIS-DDSM here")
    boxes: dict[str, list[Box]] = defaultdict(list)
    with (source / "boxes.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            x, y, width, height = (float(row[key]) for key in ("x", "y", "width", "height"))
            boxes[row["name"]].append((x, y, width, height))
    chosen = {stem: boxes[stem] for stem in list(boxes)[:: len(boxes) // EACH]}
    root = linked(source, list(chosen), tmp_path / "mine")
    WRITTEN[name].write(root, chosen, (800, 800))
    samples = list(folder.read(root))
    assert {one.name for one in samples} == set(chosen)
    for one in samples:
        assert one.annotation == "box"
        for found, stated in zip(one.boxes, chosen[one.name], strict=True):
            assert found == pytest.approx(stated, abs=0.01)
    assert np.mean([likeness(source, one) for one in samples]) > 0.8


def likeness(source: Path, sample: Sample) -> float:
    mask = cv2.imread(str(source / "masks" / f"{sample.name}.png"), cv2.IMREAD_GRAYSCALE) > 127
    assert sample.lesion is not None
    return dice(sample.lesion, mask)


def test_a_copy_of_a_set_with_masks_and_boxes_is_read_as_it_stands(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "cbis-ddsm-800"
    if not source.is_dir():
        pytest.skip("no copy of CBIS-DDSM here")
    with (source / "boxes.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    names = list(dict.fromkeys(row["name"] for row in rows))[:EACH]
    root = linked(source, names, tmp_path / "mine")
    (root / "masks").mkdir()
    for stem in names:
        (root / "masks" / f"{stem}.png").symlink_to(source / "masks" / f"{stem}.png")
    with (root / "boxes.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["name"] in names)
    samples = list(folder.read(root))
    assert [one.annotation for one in samples] == ["pixel_mask"] * EACH
    assert all(one.boxes and one.pathology for one in samples)
