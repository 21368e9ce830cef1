from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from model_export.config import TrainingConfig
from model_export.export import combine as combining
from model_export.export import run as exporting
from model_export.export.combine import combine
from model_export.export.graph import shift_activation
from model_export.export.half_stored import LARGE
from model_export.networks import LiteOptions, NetworkOptions, SmallOptions
from model_export.phantom import breast_phantom
from service.inference.contract import Score
from service.inference.session import Session
from tests.model_export.lived_in import lived_in
from tests.model_export.small_tiles import SIDE, small_tiles
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration

TEMPERATURES = (2.0, 0.5)
ROUNDED = 0.03


def exported(target: Path, options: NetworkOptions, temperature: float, **changes: object) -> Path:
    """Export a net in small tiles, as if it had been calibrated to a temperature."""
    config = TrainingConfig.model_validate({**tiny_config().model_dump(), **changes})
    exporting.export(lived_in(options), config, target, "0.1.0")
    model = onnx.load(target)
    contract = exporting.contract_of(model)
    score = Score(rule="max", temperature=temperature)
    exporting.write(model, contract.model_copy(update={"score": score}), target)
    return target


@pytest.fixture(scope="module", autouse=True)
def in_small_tiles() -> object:
    with small_tiles() as patch:
        # Random weights react to rounding more than trained ones.
        patch.setattr(combining, "ROUNDED", ROUNDED)
        yield


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    nets: tuple[NetworkOptions, ...] = (SmallOptions(head_sees_mask=True), LiteOptions())
    return [
        exported(folder / f"{options.kind}.onnx", options, temperature)
        for options, temperature in zip(nets, TEMPERATURES, strict=True)
    ]


@pytest.fixture(scope="module")
def both(members: list[Path]) -> Path:
    target = members[0].with_name("both.onnx")
    combine(members, "both", "0.2.0", target)
    return target


def test_it_answers_with_the_mean_of_its_members(both: Path, members: list[Path]) -> None:
    grey = breast_phantom(SIDE, seed=7).astype(np.float32)[None, None] / 255
    for tile in (grey, np.ascontiguousarray(grey[..., :64])):
        found = Session.open(both).run(tile)
        first, second = (Session.open(path).run(tile) for path in members)
        mean = (first.probability + second.probability) / 2
        np.testing.assert_allclose(found.probability, mean, atol=ROUNDED)
        assert np.abs(first.probability - second.probability).max() > 5 * ROUNDED
        activation = (first.activation / TEMPERATURES[0] + second.activation / TEMPERATURES[1]) / 2
        np.testing.assert_allclose(found.activation, activation, atol=0.05)
        top = np.sort(found.activation.ravel())[-4:].mean()
        assert found.has_mask[0] == pytest.approx(top, abs=1e-5)


def test_it_is_half_as_large_and_says_what_it_is(both: Path, members: list[Path]) -> None:
    assert both.stat().st_size < 0.52 * sum(path.stat().st_size for path in members)
    contract = Session.open(both).contract
    assert (contract.name, contract.version, contract.score.temperature) == ("both", "0.2.0", 1.0)
    assert "not chosen" in contract.operating_point.chosen_by
    # The second member's licence says all that the first's does, and more.
    assert contract.provenance.licence == Session.open(members[1]).contract.provenance.licence


def test_its_score_can_be_calibrated(both: Path) -> None:
    tile = breast_phantom(SIDE).astype(np.float32)[None, None] / 255
    before = Session.open(both).run(tile).has_mask[0]
    model = onnx.load(both)
    shift_activation(model, "activation", 1.5)
    moved = both.with_name("moved.onnx")
    onnx.save(model, moved)
    assert Session.open(moved).run(tile).has_mask[0] == pytest.approx(before + 1.5, abs=1e-4)


def test_large_tensors_are_stored_in_half(both: Path) -> None:
    sizes = {one.data_type: int(np.prod(one.dims)) for one in onnx.load(both).graph.initializer}
    assert TensorProto.FLOAT16 in sizes
    for one in onnx.load(both).graph.initializer:
        assert one.data_type != TensorProto.FLOAT or np.prod(one.dims) < LARGE


def test_nets_for_other_inputs_and_single_nets_are_refused(
    members: list[Path], tmp_path: Path
) -> None:
    other = exported(tmp_path / "other.onnx", SmallOptions(), 1.0, working_mm=0.8)
    with pytest.raises(ValueError, match="same input"):
        combine([members[0], other], "both", "0.2.0", tmp_path / "both.onnx")
    with pytest.raises(ValueError, match="two members"):
        combine(members[:1], "both", "0.2.0", tmp_path / "both.onnx")


def test_a_file_unlike_its_members_is_not_left_behind(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combining, "ROUNDED", 1e-9)
    with pytest.raises(ValueError, match="differs from its members"):
        combine(members, "both", "0.2.0", tmp_path / "both.onnx")
    assert not list(tmp_path.iterdir())
