from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference

from model_export.export import combine as combining
from model_export.export import half as halving
from model_export.export import run as exporting
from model_export.export.graph import shift_activation
from model_export.export.half import compute_in_half, halve
from model_export.export.run import contract_of
from model_export.export.verify import difference
from model_export.networks import NetworkOptions, SmallOptions
from service.inference.golden import check_golden
from service.inference.session import Session
from tests.model_export.lived_in import KINDS, SWITCHED, lived_in, name
from tests.model_export.small_tiles import SIDE, small_tiles
from tests.model_export.tiny import tiny_config
from tests.thinned import thinned

pytestmark = pytest.mark.integration

ROUNDED = 0.05
"""Random weights react to rounding more than trained ones."""


@pytest.fixture(scope="module", autouse=True)
def in_small_tiles() -> object:
    with small_tiles() as patch:
        patch.setattr(halving, "CLOSE", ROUNDED)
        yield


def exported(folder: Path, options: NetworkOptions) -> Path:
    path = folder / "single.onnx"
    config = tiny_config().model_copy(update={"network": options})
    exporting.export(lived_in(options), config, path, "0.1.0")
    return path


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("half"), SmallOptions(head_sees_mask=True))


@pytest.fixture(scope="module")
def half(single: Path) -> Path:
    target = single.with_name("half.onnx")
    halve(single, target, "0.2.0")
    return target


@pytest.mark.parametrize("options", thinned([*KINDS, *SWITCHED], 4), ids=name)
def test_convolutions_compute_in_half_but_the_last_and_what_follows(
    options: NetworkOptions, tmp_path: Path
) -> None:
    source, target = exported(tmp_path, options), tmp_path / "half.onnx"
    assert 0 < halve(source, target, "0.2.0") <= ROUNDED
    model = shape_inference.infer_shapes(onnx.load(target), strict_mode=True)
    graph = model.graph
    kinds = {one.name: one.data_type for one in graph.initializer} | {
        one.name: one.type.tensor_type.elem_type
        for one in (*graph.value_info, *graph.input, *graph.output)
    }
    assert {kinds[one.name] for one in graph.output} == {TensorProto.FLOAT}
    assert [kinds[one.name] for one in graph.input] == [TensorProto.UINT16]
    computed = [kinds[node.output[0]] for node in graph.node if node.op_type == "Conv"]
    single = computed.count(TensorProto.FLOAT)
    assert single == 2 and computed.count(TensorProto.FLOAT16) == len(computed) - single > 5
    (sigmoid,) = [node for node in graph.node if node.output[0] == "probability"]
    assert (sigmoid.op_type, kinds[sigmoid.input[0]]) == ("Sigmoid", TensorProto.FLOAT)


def test_the_first_convolutions_stay_single_where_rounding_them_is_too_much(
    single: Path,
) -> None:
    plain, careful = onnx.load(single), onnx.load(single)
    compute_in_half(plain)
    compute_in_half(careful, first_single=3)
    counts = []
    for model in (plain, careful):
        graph = shape_inference.infer_shapes(model, strict_mode=True).graph
        known = (*graph.value_info, *graph.output)
        kinds = {one.name: one.type.tensor_type.elem_type for one in known}
        convolutions = [kinds[node.output[0]] for node in graph.node if node.op_type == "Conv"]
        counts.append([kind == TensorProto.FLOAT for kind in convolutions])
    assert counts[0][:3] == [False] * 3
    assert counts[1][:4] == [True, True, True, False]
    assert counts[1][4:] == counts[0][4:]


def test_it_is_half_as_large_and_holds_each_weight_once(single: Path, half: Path) -> None:
    assert half.stat().st_size < 0.6 * single.stat().st_size


def test_the_contract_goes_along_but_the_figures(single: Path, half: Path) -> None:
    before, after = contract_of(onnx.load(single)), contract_of(onnx.load(half))
    assert after.version == "0.2.0"
    assert after.provenance.evaluation == {"has_mask_shift": 0.0}
    assert (before.input.dtype, after.input.dtype) == ("float32", "uint16")
    assert after.input.maximum == before.input.maximum
    kept = {"golden", "version", "provenance", "input"}
    assert after.model_dump(exclude=kept) == before.model_dump(exclude=kept)


def test_the_golden_answer_is_its_own(single: Path, half: Path) -> None:
    assert check_golden(Session.open(half)) < 1e-3
    assert (
        contract_of(onnx.load(half)).golden.has_mask_logit
        != contract_of(onnx.load(single)).golden.has_mask_logit
    )


def test_two_nets_stored_in_half_are_computed_with_in_half(
    single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combining, "ROUNDED", ROUNDED)
    stored, target = tmp_path / "stored.onnx", tmp_path / "half.onnx"
    combining.combine([single, single], "both", "0.2.0", stored)
    halve(stored, target, "0.2.0")
    graph = onnx.load(target).graph
    casts = [node.input[0] for node in graph.node if node.op_type == "Cast"]
    # Of values alone, and of each once; both nets read the one input.
    assert not {one.name for one in graph.initializer} & set(casts)
    assert "tile_ranged" in casts and len(casts) == len(set(casts))


def test_what_is_halved_is_not_halved_again_nor_combined(half: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already"):
        halve(half, tmp_path / "again.onnx", "0.3.0")
    with pytest.raises(ValueError, match="must not be halved"):
        combining.combine([half, half], "both", "0.3.0", tmp_path / "both.onnx")


def test_calibration_moves_its_logit_as_far(half: Path, tmp_path: Path) -> None:
    tile = np.full((1, 1, SIDE, SIDE), 0.3, np.float32)
    before = Session.open(half).run(tile).has_mask[0]
    model, moved = onnx.load(half), tmp_path / "moved.onnx"
    shift_activation(model, "activation", 1.5)
    onnx.save(model, moved)
    assert Session.open(moved).run(tile).has_mask[0] == pytest.approx(before + 1.5, abs=1e-4)


def test_a_file_that_differs_too_much_is_not_left_behind(
    single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in (1e-9, np.nan):
        monkeypatch.setattr(halving, "CLOSE", bound)
        with pytest.raises(ValueError, match="differs by"):
            halve(single, tmp_path / "half.onnx", "0.2.0")
    with pytest.raises(ValueError, match="version"):
        halve(single, tmp_path / "half.onnx", "x")
    assert not list(tmp_path.iterdir())


def test_a_difference_is_seen_in_map_and_score_and_nan_is_none_to_pass(single: Path) -> None:
    session = Session.open(single)
    assert difference(session, session.run) == 0
    for part, change in (("probability", 0.25), ("has_mask", 50.0), ("probability", np.nan)):

        def wrong(tile: np.ndarray, part: str = part, change: float = change):
            outputs = session.run(tile)
            getattr(outputs, part)[-1] += change
            return outputs

        assert not difference(session, wrong) <= 0.2


@pytest.mark.parametrize(("last_stage", "whole"), [("dilated", True), ("pooled", False)])
def test_a_breast_stays_whole_only_where_the_graph_takes_its_shape(
    last_stage: Literal["dilated", "pooled"], whole: bool, tmp_path: Path
) -> None:
    """A net that halves a sixth time answers 160 rows with a map of 192."""
    path = exported(tmp_path, SmallOptions(last_stage=last_stage))
    assert contract_of(onnx.load(path)).tiling.whole is whole
