"""A net is not measured on whom it has seen, whatever they are called by now."""

import shutil
from pathlib import Path

import cv2
import onnx
import pytest

from model_export.datasets import DatasetError, read_source
from model_export.evaluation import Options, evaluate
from model_export.evaluation.run import NOT_ALL_TOLD
from model_export.phantom import breast_phantom
from model_export.seen_images import SeenImages, say_seen
from service.inference.contract import Provenance
from tests.identity_net import identity_contract, write_identity_net
from tests.model_export.samples import disc

pytestmark = pytest.mark.integration

COUNT = 30


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write `own`: an image a patient, none like another."""
    data = tmp_path / "data"
    for part in ("images", "masks"):
        (data / "own" / part).mkdir(parents=True)
    for number in range(COUNT):
        pixels = cv2.max(breast_phantom(128, seed=number), disc(128, 46, 28, 8))
        pixels[46, 28 : 28 + number % 10] = number
        cv2.imwrite(str(data / "own" / "images" / f"i{number}.png"), pixels)
        cv2.imwrite(str(data / "own" / "masks" / f"i{number}.png"), disc(128, 46, 28, 8))
    rename(data, [f"{number}" for number in range(COUNT)])
    return data


def rename(data: Path, patients: list[str]) -> None:
    rows = [f"i{number},{patient}\n" for number, patient in enumerate(patients)]
    (data / "own" / "table.csv").write_text("name,patient\n" + "".join(rows))


def net(path: Path, seen: SeenImages | None, *sources: str) -> Path:
    """Write a net that was trained on sources and says what it has seen."""
    known = Provenance(training_data=sources, licence="", intended_use="", evaluation={})
    write_identity_net(path, identity_contract(provenance=known))
    if seen is not None:
        model = onnx.load(path)
        say_seen(model, seen)
        onnx.save(model, path)
    return path


def seen_of(data: Path) -> SeenImages:
    """Return what a net has seen that was trained on `own` as it is now."""
    sides: dict[str, set[bytes]] = {"train": set(), "validation": set(), "test": set()}
    for sample in read_source(data, "own"):
        sides[sample.split].add(sample.digest)
    assert all(sides.values())
    return SeenImages(frozenset(sides["train"]), frozenset(sides["validation"]))


def asked(model: Path, data: Path, **options: object) -> tuple[set[str], str]:
    """Return the names of the images that were evaluated, and what was remarked."""
    found = evaluate(model, data, Options(contrast=False, **options))  # type: ignore[arg-type]
    return {image.name for image in found.images}, " ".join(found.remarks)


def test_patients_who_got_other_names_after_training_are_left_out_and_told(
    data: Path, tmp_path: Path
) -> None:
    before = {one.name for one in read_source(data, "own") if one.split == "test"}
    model = net(tmp_path / "net.onnx", seen_of(data), "own")
    assert asked(model, data) == (before, "")
    rename(data, [f"p{number:02d}" for number in range(COUNT)])
    now = {one.name for one in read_source(data, "own") if one.split == "test"}
    assert now - before and now & before
    names, told = asked(model, data)
    assert names == now & before
    assert f"own: {len(now - before)} images of {len(now - before)} patients are left out" in told


def test_a_new_image_of_a_patient_whose_other_image_trained_is_left_out_too(
    data: Path, tmp_path: Path
) -> None:
    seen = seen_of(data)
    held = [one.name for one in read_source(data, "own") if one.split == "test"]
    trained = [one.name for one in read_source(data, "own") if one.split == "train"]
    # The table says by now that both are of one patient, who lies on the test side.
    patients = {name: name.removeprefix("i") for name in (f"i{n}" for n in range(COUNT))}
    patients[trained[0]] = patients[held[0]]
    rename(data, [patients[f"i{number}"] for number in range(COUNT)])
    names, told = asked(net(tmp_path / "net.onnx", seen, "own"), data)
    assert names == set(held[1:])
    assert "own: 2 images of 1 patients are left out: the net was trained on 1 of them" in told


def test_nothing_is_reported_where_every_test_image_trained(data: Path, tmp_path: Path) -> None:
    every = SeenImages(frozenset(one.digest for one in read_source(data, "own")))
    with pytest.raises(DatasetError, match="own: the net was trained on all test patients"):
        asked(net(tmp_path / "net.onnx", every, "own"), data)


@pytest.mark.parametrize("is_link", [True, False])
def test_the_same_images_under_another_name_are_not_external(
    is_link: bool, data: Path, tmp_path: Path
) -> None:
    model, other = net(tmp_path / "net.onnx", seen_of(data), "own"), tmp_path / "own_v2"
    if is_link:
        other.symlink_to(data / "own")
    else:
        shutil.copytree(data / "own", other)
    strangers = {one.name for one in read_source(data, "own") if one.split == "test"}
    names, told = asked(model, data, sources=(), external=(str(other),))
    assert names == strangers and "own_v2: " in told and "left out" in told


def test_what_chose_is_no_test_image_but_is_what_validation_is_made_of(
    data: Path, tmp_path: Path
) -> None:
    seen = seen_of(data)
    model = net(tmp_path / "net.onnx", SeenImages(chose=seen.chose), "other")
    validation = {one.name for one in read_source(data, "own") if one.split == "validation"}
    names, told = asked(model, data, sources=(), external=("own",))
    assert not names & validation and "chose its checkpoint or thresholds" in told
    assert asked(model, data, sources=("own",), split="validation") == (validation, "")


def test_a_file_that_says_nothing_of_its_images_is_evaluated_and_that_is_told(
    data: Path, tmp_path: Path
) -> None:
    names, told = asked(net(tmp_path / "net.onnx", None, "own"), data)
    assert names and told == NOT_ALL_TOLD
