"""A net that passes its golden tile, and fails on parts of an image: nobody is told "no lesion"."""

import math
from pathlib import Path

import onnx
import pytest
from fastapi.testclient import TestClient
from onnx import TensorProto, helper

from service.app import create_app
from service.settings import Settings
from service.startup.models import open_model
from tests.dicom_files import dicom_file
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.integration

FORMS = ("json", "mask", "heatmap", "seg", "sr", "cad-sr")
DIM = 0.95


def failing_net(path: Path, output: str, added: float) -> Path:
    """Write an identity net that adds something to an output where a tile has nothing bright."""
    model = onnx.load(write_identity_net(path))
    graph = model.graph
    for node in graph.node:
        node.output[:] = [f"good-{name}" if name == output else name for name in node.output]
        if output == "probability":
            node.input[:] = [f"good-{name}" if name == output else name for name in node.input]
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["tile", "axes"], ["brightest"], keepdims=0),
            helper.make_node("Less", ["brightest", "dim"], ["is-dim"]),
            helper.make_node("Where", ["is-dim", "added", "zero"], ["more"]),
            helper.make_node("Add", [f"good-{output}", "more"], [output]),
        ]
    )
    graph.initializer.extend(
        [
            helper.make_tensor("axes", TensorProto.INT64, [4], [0, 1, 2, 3]),
            helper.make_tensor("dim", TensorProto.FLOAT, [], [DIM]),
            helper.make_tensor("added", TensorProto.FLOAT, [], [added]),
        ]
    )
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("added", [math.nan, math.inf])
@pytest.mark.parametrize("output", ["probability", "has_mask"])
def test_a_part_that_is_no_number_is_no_answer(output: str, added: float, tmp_path: Path) -> None:
    body = dicom_file(
        breast_phantom().astype("i4"),
        bits_stored=8,
        bits_allocated=8,
        ImagerPixelSpacing=[1, 1],
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
    )
    good, bad = write_identity_net(tmp_path / "good.onnx"), tmp_path / "bad.onnx"
    for model, answered in ((good, 200), (failing_net(bad, output, added), 500)):
        with TestClient(create_app(Settings(), open_model(model))) as client:
            for form in FORMS:
                answer = client.post(f"/v1/segment?output={form}", content=body)
                assert answer.status_code == answered, (form, answer.text)
            study = client.post("/v1/studies", files={"a": body})
            assert study.status_code == answered
            if answered == 500:
                assert answer.json()["code"] == study.json()["code"] == "net-failed"
                lines = client.get("/metrics").text.splitlines()
                assert 'mammoseg_problems_total{code="net-failed"} 7.0' in lines
