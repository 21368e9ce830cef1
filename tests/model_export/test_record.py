from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from model_export.evaluation import Options
from model_export.record import record, summary
from service.findings import ModelIdentity
from service.inference.contract import Provenance
from service.inference.golden import check_golden
from service.inference.session import Session
from tests.identity_net import identity_contract, write_identity_net
from tests.model_export.answers import evaluation

pytestmark = pytest.mark.integration


@pytest.fixture
def model(tmp_path: Path) -> Path:
    provenance = Provenance(
        training_data=("x",),
        licence="",
        intended_use="",
        evaluation={"has_mask_shift": 0.25, "x/dice": 0.9},
    )
    return write_identity_net(tmp_path / "net.onnx", identity_contract(provenance=provenance))


def identity_of(path: Path) -> ModelIdentity:
    return ModelIdentity("identity", "0.0.1", Session.open(path).sha256)


def test_headline_figures_go_into_the_file_and_the_net_stays(model: Path) -> None:
    graph = onnx.load(model).graph.SerializeToString()
    evaluated = evaluation(model=identity_of(model))
    found = record(model, evaluated)
    session = Session.open(model)
    kept = session.contract.provenance.evaluation
    assert kept["cdd-cesm/dice"] == pytest.approx(
        evaluated.figures["cdd-cesm/dice"].value, abs=1e-4
    )
    assert kept["cdd-cesm/dice/low"] <= kept["cdd-cesm/dice"] <= kept["cdd-cesm/dice/high"]  # type: ignore[operator]
    assert kept["cdd-cesm/dice/images"] == 6
    assert kept["has_mask_shift"] == 0.25
    assert "x/dice" not in kept  # of an earlier evaluation
    assert found.model.sha256 == session.sha256 != evaluated.model.sha256
    assert found.contract == session.contract
    assert onnx.load(model).graph.SerializeToString() == graph
    check_golden(session)


@pytest.mark.parametrize("options", [Options(split="validation"), Options(limit=3)])
def test_a_part_or_another_split_is_not_recorded(model: Path, options: Options) -> None:
    before = model.read_bytes()
    with pytest.raises(ValueError, match="whole test split"):
        record(model, evaluation(model=identity_of(model), options=options))
    assert model.read_bytes() == before


def test_figures_of_another_file_are_not_recorded(model: Path) -> None:
    evaluated = evaluation(model=replace(identity_of(model), sha256="0" * 64))
    with pytest.raises(ValueError, match="not the file"):
        record(model, evaluated)


def test_the_summary_is_what_a_contract_may_hold() -> None:
    values = summary(evaluation())
    Provenance(training_data=(), licence="", intended_use="", evaluation=values)
    assert "cdd-cesm/iou" not in values  # the report has it
