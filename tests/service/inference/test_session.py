from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from service.errors import ContractError, DeviceError
from service.inference.golden import check_golden, eighth
from service.inference.session import Session, TileOutputs, load_cuda, runtime_build
from service.inference.warmup import warm
from tests.identity_net import TILE, identity_contract, write_identity_net

pytestmark = pytest.mark.integration


def test_a_model_says_what_it_is_and_runs_any_batch(tmp_path: Path) -> None:
    session = Session.open(write_identity_net(tmp_path / "net.onnx"))
    assert session.contract.name == "identity"
    assert session.device == "cpu"
    assert len(session.sha256) == 64
    rng = np.random.default_rng(0)
    for batch in (1, 3):
        tiles = rng.random((batch, 1, TILE, TILE)).astype(np.float32)
        outputs = session.run(tiles)
        np.testing.assert_array_equal(outputs.probability, tiles[:, 0])
        np.testing.assert_allclose(outputs.has_mask, 4 * tiles.max(axis=(1, 2, 3)) - 2, rtol=1e-5)
        assert outputs.activation.shape == (batch, 2, 2)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"absent\.onnx"):
        Session.open(tmp_path / "absent.onnx")


def test_a_runtime_that_can_start_no_thread_does_not_refuse_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("env.cc:327 pthread_create failed, error code: 11")

    path = write_identity_net(tmp_path / "net.onnx")
    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    with pytest.raises(DeviceError, match="no further thread") as caught:
        Session.open(path)
    assert caught.value.may_pass


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ContractError, match="not an ONNX model"):
        Session.open(path)


def test_a_model_without_a_contract_is_refused(tmp_path: Path) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    del model.metadata_props[:]
    onnx.save(model, str(path))
    with pytest.raises(ContractError, match=r"run `mammoseg adopt .*net\.onnx --sample view\.dcm"):
        Session.open(path)


def with_sides(path: Path, side: int) -> Path:
    """Let the graph take tiles of one size alone."""
    model = onnx.load(str(path))
    for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        axis.dim_value = side
    onnx.save(model, str(path))
    return path


def test_a_graph_of_one_size_is_taken(tmp_path: Path) -> None:
    Session.open(with_sides(write_identity_net(tmp_path / "net.onnx"), TILE))


def test_a_graph_that_is_not_the_contract_s_is_refused(tmp_path: Path) -> None:
    path = with_sides(write_identity_net(tmp_path / "net.onnx"), TILE + 32)
    with pytest.raises(ContractError, match="input"):
        Session.open(path)


def test_narrower_tiles_want_a_graph_that_takes_them(tmp_path: Path) -> None:
    contract = identity_contract()
    tiling = contract.tiling.model_copy(update={"narrower": ((TILE, 32),)})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"tiling": tiling}))
    outputs = Session.open(path).run(np.full((1, 1, TILE, 32), 0.5, np.float32))
    assert outputs.probability.shape == (1, TILE, 32)
    with pytest.raises(ContractError, match="input"):
        Session.open(with_sides(path, TILE))


def test_a_breast_stays_whole_where_contract_and_device_allow_it(tmp_path: Path) -> None:
    contract = identity_contract()
    assert Session.open(write_identity_net(tmp_path / "net.onnx")).whole_pixels == 0
    tiling = contract.tiling.model_copy(update={"whole": True})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"tiling": tiling}))
    session = Session.open(path)
    assert session.whole_pixels == TILE * TILE
    outputs = session.run(np.full((1, 1, 2 * TILE, 32), 0.5, np.float32))
    assert outputs.probability.shape == (1, 2 * TILE, 32)
    session.device = "cuda"
    assert session.whole_pixels == 0
    wider = tiling.model_copy(update={"whole_tiles": 3})
    wide = contract.model_copy(update={"tiling": wider})
    assert Session.open(write_identity_net(path, wide)).whole_pixels == 3 * TILE * TILE
    with pytest.raises(ContractError, match="input"):
        Session.open(with_sides(path, TILE))


def test_an_output_that_the_graph_lacks_is_named(tmp_path: Path) -> None:
    contract = identity_contract()
    lacking = contract.model_copy(
        update={"outputs": contract.outputs.model_copy(update={"activation": "heat"})}
    )
    with pytest.raises(ContractError, match="heat"):
        Session.open(write_identity_net(tmp_path / "net.onnx", lacking))


def test_the_answer_of_a_batch_is_proven_tile_by_tile(tmp_path: Path) -> None:
    session = Session.open(write_identity_net(tmp_path / "net.onnx"))
    assert check_golden(session, 3) < 1e-3
    right = session.run
    for tile in range(3):

        def wrong(tiles: NDArray[np.float32], tile: int = tile) -> TileOutputs:
            outputs = right(tiles)
            outputs.probability[tile] = np.nan
            return outputs

        session.run = wrong  # type: ignore[method-assign]
        with pytest.raises(DeviceError, match="golden"):
            check_golden(session, 3)


def test_the_golden_tile_reproduces(tmp_path: Path) -> None:
    session = Session.open(write_identity_net(tmp_path / "net.onnx"))
    assert check_golden(session) < 1e-3


@pytest.mark.parametrize("change", [{"has_mask_logit": 1.9}, {"probability_eighth": "zeros"}])
def test_a_golden_tile_that_does_not_reproduce_stops_the_start(
    tmp_path: Path, change: dict[str, object]
) -> None:
    import base64

    if change.get("probability_eighth") == "zeros":
        zeros = np.zeros((TILE // 8, TILE // 8), "<f2")
        change = {"probability_eighth": base64.b64encode(zeros.tobytes()).decode()}
    contract = identity_contract()
    broken = contract.model_copy(update={"golden": contract.golden.model_copy(update=change)})
    session = Session.open(write_identity_net(tmp_path / "net.onnx", broken))
    with pytest.raises(DeviceError, match="golden"):
        check_golden(session)


def test_a_golden_tile_that_is_answered_by_no_number_does_not_reproduce(tmp_path: Path) -> None:
    session = Session.open(write_identity_net(tmp_path / "net.onnx", logit=float("nan")))
    with pytest.raises(DeviceError, match="golden"):
        check_golden(session)


def test_an_eighth_is_the_mean_of_blocks() -> None:
    values = np.arange(256, dtype=np.float32).reshape(16, 16)
    assert eighth(values).shape == (2, 2)
    assert eighth(values)[0, 0] == values[:8, :8].mean()


def test_the_widest_whole_breast_has_been_run_before_the_first_comes(tmp_path: Path) -> None:
    contract = identity_contract()
    tiling = contract.tiling.model_copy(update={"whole": True, "whole_tiles": 2})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"tiling": tiling}))
    session, shapes = Session.open(path), []
    run = session.run
    session.run = lambda tiles: (shapes.append(tiles.shape), run(tiles))[1]  # type: ignore
    warm(session, (1,))
    assert shapes == [(1, 1, 2 * TILE, TILE), (1, 1, TILE, TILE)]


def test_what_the_runtime_prints_of_cuda_is_no_output_of_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def preload_dlls() -> None:
        print("Failed to load libcudnn.so.9")  # noqa: T201

    monkeypatch.setattr("onnxruntime.preload_dlls", preload_dlls)
    load_cuda()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Failed to load libcudnn.so.9\n")


def test_the_build_says_which_package_it_is_and_what_it_was_built_for() -> None:
    build = runtime_build()
    assert build.version in build.packages[0]
    assert "CPUExecutionProvider" in build.providers
    assert (build.cuda is None) == ("CUDAExecutionProvider" not in build.providers)
