from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from service.cancellation import CancelToken
from service.errors import ContractError
from service.imaging.tiles import Tile
from service.inference.contract import InputSpec
from service.inference.golden import check_golden
from service.inference.levels import HIGHEST, quantize_into
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from tests.identity_net import TILE, identity_contract, levels_contract, write_identity_net

pytestmark = pytest.mark.integration

SPEC = InputSpec(name="tile", dtype="uint16", minimum=-0.5, maximum=1.25)


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).random(shape, np.float32)


def test_levels_are_the_nearest_and_never_come_out_at_the_other_end() -> None:
    step = 1.75 / HIGHEST
    values = np.array([-0.5, -0.5 + 0.4 * step, -0.5 + 0.6 * step, 1.25, 1.26, -0.6], np.float32)
    levels = np.empty(values.shape, np.uint16)
    quantize_into(values, levels, SPEC)
    assert levels.tolist() == [0, 0, 1, HIGHEST, HIGHEST, 0]
    many = noise(10_000) * np.float32(1.75) - np.float32(0.5)
    levels = np.empty(many.shape, np.uint16)
    quantize_into(many, levels, SPEC)
    assert np.abs(levels * step - 0.5 - many).max() <= 0.51 * step


def test_a_net_that_takes_values_gets_them_as_they_are() -> None:
    values, out = noise(4, 4), np.empty((4, 4), np.float32)
    quantize_into(values, out, SPEC)
    np.testing.assert_array_equal(out, values)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.open(write_identity_net(tmp_path / "levels.onnx", levels_contract()))


def test_a_net_that_takes_levels_answers_as_one_that_takes_values(session: Session) -> None:
    assert check_golden(session, 2) < 1e-3
    tiles = noise(3, 1, TILE, TILE)
    outputs = session.run(tiles)
    assert np.abs(outputs.probability - tiles[:, 0]).max() <= 0.51 / HIGHEST
    buffer = session.input_buffer((1, 1, TILE, TILE))
    assert buffer.dtype == np.uint16
    buffer[:] = HIGHEST
    assert session.run(buffer).probability.min() == 1.0


def test_air_is_exactly_nothing(session: Session) -> None:
    assert session.run(np.zeros((1, 1, TILE, TILE), np.float32)).probability.max() == 0.0


def test_its_tiles_are_scheduled_like_any(session: Session) -> None:
    scheduler = TileScheduler(session)
    (answer,) = scheduler.run([Tile(0, 0, np.full((TILE, TILE), 0.25, np.float32))], CancelToken())
    assert answer.probability == pytest.approx(0.25, abs=1e-5)
    scheduler.close()


@pytest.mark.parametrize("contract", [identity_contract(), levels_contract()])
def test_a_graph_whose_input_is_of_another_type_is_refused(
    tmp_path: Path, contract: object
) -> None:
    path = write_identity_net(tmp_path / "net.onnx", contract)  # type: ignore[arg-type]
    model = onnx.load(path)
    other = levels_contract() if contract == identity_contract() else identity_contract()
    helper.set_model_props(model, other.to_metadata())
    onnx.save(model, path)
    with pytest.raises(ContractError, match="input"):
        Session.open(path)
