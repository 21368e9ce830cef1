"""What an adopted file does once it is there: warns, names classes, is calibrated, evaluated."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pydicom
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from model_export import cli
from model_export.adopt.flags import Flags
from model_export.adopt.run import Naming, adopt
from model_export.export.run import contract_of, write
from service.app import create_app
from service.inference.session import Session
from service.settings import Settings
from service.startup.models import open_model
from tests.model_export.adopt.nets import (
    SPACING_MM,
    SpotNet,
    aim,
    as_onnx,
    display_of,
    view_file,
)
from tests.model_export.samples import write_all

pytestmark = pytest.mark.integration

NAMES = "background,mass,calcification"


@pytest.fixture(scope="module")
def two_lesions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an adopted net of two classes of lesions, unproven, and a view."""
    folder = tmp_path_factory.mktemp("adopted")
    view = view_file(folder)
    net = aim(SpotNet(1, 3, seed=5), display_of(view)[None], share=0.1)
    onnx.save(as_onnx(net), str(folder / "net.onnx"))
    flags = Flags(
        pixels="0..1",
        spacing_mm=SPACING_MM,
        activation="softmax",
        classes=NAMES,
        lesion_class=("mass", "calcification"),
        codes=("calcification=129788004:SCT:Something coded",),
    )
    naming = Naming(name="Two Lesions")
    adopt(folder / "net.onnx", view, folder / "adopted.onnx", flags, naming=naming)
    return folder / "adopted.onnx", view


@pytest.fixture(scope="module")
def client(two_lesions: tuple[Path, Path]) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(model=two_lesions[0], device="cpu"))) as client:
        yield client


def ask(client: TestClient, view: Path, output: str) -> bytes:
    answer = client.post(
        f"/v1/segment?gate=false&output={output}",
        content=view.read_bytes(),
        headers={"content-type": "application/dicom"},
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def test_unproven_and_uncalibrated_stand_in_contract_answer_and_model(
    client: TestClient, two_lesions: tuple[Path, Path]
) -> None:
    told = client.get("/v1/model").json()["contract"]
    assert told["adopted"]["proof"] == "unproven"
    assert told["operating_point"]["chosen_by"] == "none"
    assert told["operating_point"]["has_mask"] == 0.5 and told["score"]["temperature"] == 1
    answer = client.post(
        "/v1/segment", content=two_lesions[1].read_bytes(),
        headers={"content-type": "application/dicom"},
    ).json()  # fmt: skip
    codes = {one["code"] for one in answer["warnings"]}
    assert {"unproven", "threshold-uncalibrated"} <= codes


@pytest.mark.parametrize("output", ["seg", "seg-fractional", "sr", "cad-sr", "sc", "gsps"])
def test_every_dicom_object_says_of_its_device_that_it_is_unproven(
    output: str, client: TestClient, two_lesions: tuple[Path, Path]
) -> None:
    made = pydicom.dcmread(BytesIO(ask(client, two_lesions[1], output)))
    assert "unproven" in made.SoftwareVersions[0]


def test_regions_segments_and_findings_carry_their_class(
    client: TestClient, two_lesions: tuple[Path, Path]
) -> None:
    view = two_lesions[1]
    answer = client.post(
        "/v1/segment?gate=false", content=view.read_bytes(),
        headers={"content-type": "application/dicom"},
    ).json()  # fmt: skip
    labels = [one["label"] for one in answer["regions"] if one["selected"]]
    assert set(labels) == {"mass", "calcification"}

    seg = pydicom.dcmread(BytesIO(ask(client, view, "seg")))
    coded = {"mass": ("4147007", "Mass"), "calcification": ("129788004", "Something coded")}
    for segment in seg.SegmentSequence:
        name = segment.SegmentLabel.split(": ")[1].split(" (")[0]
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        assert (kind.CodeValue, kind.CodeMeaning) == coded[name]

    report = pydicom.dcmread(BytesIO(ask(client, view, "sr")))
    meanings = {
        element.value[0].CodeMeaning
        for element in report.iterall()
        if element.keyword == "ConceptCodeSequence"
    }
    assert {"Mass", "Something coded"} <= meanings


def test_a_net_of_one_class_gives_regions_no_label(tmp_path: Path) -> None:
    view = view_file(tmp_path)
    net = aim(SpotNet(1, 1), display_of(view)[None])
    onnx.save(as_onnx(net), str(tmp_path / "net.onnx"))
    flags = Flags(pixels="0..1", spacing_mm=SPACING_MM, activation="sigmoid")
    adopt(tmp_path / "net.onnx", view, tmp_path / "adopted.onnx", flags, naming=Naming())
    with open_model(tmp_path / "adopted.onnx") as segmenter:
        findings = segmenter.segment(view.read_bytes())
    assert findings.regions and all(region.label is None for region in findings.regions)


def test_the_score_follows_the_brightest_spot_or_the_masks_area(tmp_path: Path) -> None:
    view = view_file(tmp_path)
    net = aim(SpotNet(1, 1), display_of(view)[None])
    onnx.save(as_onnx(net), str(tmp_path / "net.onnx"))
    found = {}
    for rule in ("max", "area"):
        flags = Flags(pixels="0..1", spacing_mm=SPACING_MM, activation="sigmoid", has_mask=rule)
        target = tmp_path / f"{rule}.onnx"
        found[rule] = adopt(tmp_path / "net.onnx", view, target, flags, naming=Naming()).findings
    probability = found["area"].lesion_map.probability
    # The odds of a mask of 10 mm2 are even, and they rise with it.
    area_mm2 = np.count_nonzero(probability >= 0.5) * SPACING_MM**2
    assert found["area"].has_mask.score == pytest.approx(area_mm2 / (area_mm2 + 10.0), rel=0.02)
    assert found["max"].has_mask.score == pytest.approx(float(probability.max()), abs=0.25)
    np.testing.assert_allclose(found["max"].lesion_map.probability, probability, atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "activation", "classes"),
    [
        (1, "sigmoid", "mass"),
        pytest.param(2, "softmax", "back,mass", marks=pytest.mark.long),
    ],
)
def test_a_single_lesion_that_has_a_name_carries_it_with_its_code(
    outputs: int, activation: Any, classes: str, tmp_path: Path
) -> None:
    view = view_file(tmp_path)
    net = aim(SpotNet(1, outputs), display_of(view)[None])
    onnx.save(as_onnx(net), str(tmp_path / "net.onnx"))
    flags = Flags(
        pixels="0..1",
        spacing_mm=SPACING_MM,
        activation=activation,
        classes=classes,
        lesion_class=("mass",),
    )
    target = tmp_path / "adopted.onnx"
    adopt(tmp_path / "net.onnx", view, target, flags, naming=Naming())
    with TestClient(create_app(Settings(model=target, device="cpu"))) as client:
        seg = pydicom.dcmread(BytesIO(ask(client, view, "seg")))
    (segment,) = seg.SegmentSequence[:1]
    assert segment.SegmentLabel.split(": ")[1].split(" (")[0] == "mass"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "4147007"


@pytest.mark.long
def test_an_adopted_file_is_calibrated_and_evaluated(
    two_lesions: tuple[Path, Path], tmp_path: Path
) -> None:
    target, data = tmp_path / "net.onnx", tmp_path / "data"
    target.write_bytes(two_lesions[0].read_bytes())
    write_all(data)

    def invoke(*arguments: object) -> str:
        done = CliRunner().invoke(cli.app, [str(one) for one in arguments])
        assert done.exit_code == 0, done.output
        return done.output

    with pytest.raises(AssertionError, match="--source"):
        invoke("calibrate", target, "--data", data)
    assert "mask threshold" in invoke("calibrate", target, "--data", data, "--source", "cdd-cesm")
    point = Session.open(target).contract.operating_point
    assert point.chosen_by != "none"
    with open_model(target) as segmenter:
        said = {one.code for one in segmenter.segment(two_lesions[1].read_bytes()).caveats}
    assert "threshold-uncalibrated" not in said and "unproven" in said
    asked = ("evaluate", target, "--data", data, "--source", "mini-mias", "--no-contrast")
    assert "mini-mias" in invoke(*asked, "--split", "train", "--save", tmp_path / "report")


def test_whom_another_framework_held_out_is_not_guessed(
    two_lesions: tuple[Path, Path], tmp_path: Path
) -> None:
    write_all(tmp_path / "data")
    model = onnx.load(two_lesions[0])
    contract = contract_of(model)
    known = contract.provenance.model_copy(update={"training_data": ("mini-mias",)})
    write(model, contract.model_copy(update={"provenance": known}), tmp_path / "net.onnx")
    asked = [str(tmp_path / "net.onnx"), "--data", str(tmp_path / "data")]
    for command in (["evaluate", *asked, "--no-contrast", "--record"], ["calibrate", *asked]):
        done = CliRunner().invoke(cli.app, command)
        assert done.exit_code == 1
        assert "trained on mini-mias elsewhere" in " ".join(done.output.split())
