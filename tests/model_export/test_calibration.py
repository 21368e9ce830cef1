"""What `calibrate` writes where not everything can be chosen; `test_cli` has the whole of it."""

import re
from pathlib import Path

import cv2
import onnx
import pytest

from model_export import calibration
from model_export.calibration import NO_OUTLINES, calibrate
from model_export.datasets import DatasetError, Sample, read_source
from model_export.evaluation import ask
from model_export.export import run as export
from model_export.export.tile_shapes import TileShapes
from model_export.phantom import breast_phantom
from model_export.seen_images import SeenImages, say_seen, seen_by
from model_export.training.lineage import Lineage
from service.errors import UnsuitableImage
from service.findings import Findings
from service.inference.contract import Contract, OperatingPoint
from service.inference.session import Session
from service.segmenter import Segmenter
from tests.model_export.lived_in import lived_in
from tests.model_export.samples import disc
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration

POINT = OperatingPoint(
    has_mask=0.5, chosen_by="none", mask=0.45, candidate=0.15, minimum_region_mm2=7.0
)


def boxed(data: Path, *, normals: bool) -> None:
    """Write 24 images of 24 patients, every other one with a lesion that has a box alone."""
    own = data / "own"
    (own / "images").mkdir(parents=True)
    boxes, table = ["name,x,y,width,height"], ["name,has_lesion"]
    for number in range(0, 24, 1 if normals else 2):
        pixels = breast_phantom(256, seed=number)
        if number % 2 == 0:
            pixels = cv2.max(pixels, disc(256, 92, 56, 12))
            boxes.append(f"p{number},44,80,24,24")
        cv2.imwrite(str(own / "images" / f"p{number}.png"), pixels)
        table.append(f"p{number},{int(number % 2 == 0)}")
    (own / "boxes.csv").write_text("\n".join(boxes) + "\n")
    (own / "table.csv").write_text("\n".join(table) + "\n")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A net of small tiles, trained on "own", whose thresholds nobody chose."""
    monkeypatch.setattr(export, "receptive_field", lambda _: 633)  # counted in its own test
    small = TileShapes(tile_size=128, narrower=(), stride=96)
    monkeypatch.setattr(export, "tile_shapes", lambda _: small)
    monkeypatch.setattr(export, "UNCALIBRATED", POINT)
    config, target = tiny_config(), tmp_path / "net.onnx"
    export.export(lived_in(config.network), config, target, "0.1.0", Lineage(("own",)))
    return target


def held_out(data: Path) -> set[bool]:
    return {one.has_lesion for one in read_source(data, "own") if one.split == "validation"}


def kept(contract: Contract) -> bool:
    """Say whether the thresholds of the map are still those of `POINT`."""
    point = contract.operating_point
    return (point.mask, point.candidate, point.minimum_region_mm2) == (0.45, 0.15, 7.0)


def test_boxes_choose_the_has_mask_threshold_and_leave_the_mask_s(
    tmp_path: Path, path: Path
) -> None:
    boxed(tmp_path, normals=True)
    assert held_out(tmp_path) == {True, False}
    calibrate(path, tmp_path)
    contract = Session.open(path).contract
    assert kept(contract) and contract.operating_point.has_mask != 0.5
    said = contract.operating_point.chosen_by
    assert said.startswith("best Youden index") and said.endswith(f"; {NO_OUTLINES}")
    assert not contract.is_uncalibrated


def test_a_sensitivity_needs_neither_outlines_nor_normals(tmp_path: Path, path: Path) -> None:
    boxed(tmp_path, normals=False)
    calibrate(path, tmp_path, (0.9, "own"))
    contract = Session.open(path).contract
    assert kept(contract) and contract.operating_point.sensitivity == 0.9
    assert contract.operating_point.chosen_by.endswith(NO_OUTLINES)


def test_an_image_that_the_service_refuses_does_not_count_and_is_named(
    tmp_path: Path,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    boxed(tmp_path, normals=True)
    held = [one.name for one in read_source(tmp_path, "own") if one.split == "validation"]

    def refusing(segmenter: Segmenter, sample: Sample) -> Findings:
        if sample.name == held[-1]:
            raise UnsuitableImage("for-processing", "This is no image to look at.")
        return ask(segmenter, sample)

    monkeypatch.setattr(calibration, "ask", refusing)
    contract = calibrate(path, tmp_path)
    counted = re.findall(r"of (\d+)", contract.operating_point.chosen_by)
    assert sum(map(int, counted)) == len(held) - 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"own/{held[-1]} does not count: This is no image to look at." in said


def test_where_nothing_can_be_chosen_the_file_stays_as_it_was(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of an adopted net: its lesions cannot be left out of a film.
    monkeypatch.setattr(calibration, "lesion_free_logit", lambda *_: None)
    boxed(tmp_path, normals=False)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="nothing to choose on"):
        calibrate(path, tmp_path)
    assert path.read_bytes() == before


def test_images_that_choose_are_kept_in_the_file_and_those_that_trained_do_not_choose(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxed(tmp_path, normals=True)
    held = [one for one in read_source(tmp_path, "own") if one.split == "validation"]
    model = onnx.load(path)
    say_seen(model, SeenImages(trained=frozenset({held[0].digest})))
    onnx.save(model, path)
    calibrate(path, tmp_path)
    seen = seen_by(onnx.load(path))
    assert seen == SeenImages(
        frozenset({held[0].digest}), frozenset(one.digest for one in held[1:])
    )
    assert "own: 1 images of 1 patients are left out" in " ".join(capsys.readouterr().out.split())

    say_seen(model, SeenImages(trained=frozenset(one.digest for one in held)))
    onnx.save(model, path)
    with pytest.raises(DatasetError, match="trained on all validation patients"):
        calibrate(path, tmp_path)
