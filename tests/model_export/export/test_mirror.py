from pathlib import Path

import numpy as np
import onnx
import pytest

from model_export.export import run as exporting
from model_export.export.graph import shift_activation
from model_export.export.mirror import mirror
from model_export.networks import LiteOptions
from model_export.phantom import breast_phantom
from service.inference.golden import check_golden
from service.inference.session import Session
from tests.model_export.lived_in import lived_in
from tests.model_export.small_tiles import SIDE, small_tiles
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def in_small_tiles() -> object:
    with small_tiles():
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("mirror") / "plain.onnx"
    exporting.export(lived_in(LiteOptions(head_sees_mask=True)), tiny_config(), target, "0.1.0")
    return target


@pytest.fixture(scope="module")
def mirrored(plain: Path) -> Path:
    target = plain.with_name("mirrored.onnx")
    mirror(plain, "0.2.0", target)
    return target


def phantom() -> np.ndarray:
    return breast_phantom(SIDE, seed=7).astype(np.float32)[None, None] / 255


def test_it_answers_with_the_mean_of_both_views(plain: Path, mirrored: Path) -> None:
    for tile in (phantom(), np.ascontiguousarray(phantom()[..., :64])):
        found = Session.open(mirrored).run(tile)
        one = Session.open(plain).run(tile)
        other = Session.open(plain).run(np.ascontiguousarray(tile[..., ::-1]))
        mean = (one.probability + other.probability[..., ::-1]) / 2
        np.testing.assert_allclose(found.probability, mean, atol=1e-5)
        assert np.abs(one.probability - mean).max() > 1e-3
        activation = (one.activation + other.activation[..., ::-1]) / 2
        np.testing.assert_allclose(found.activation, activation, atol=1e-3)
        top = np.sort(found.activation.ravel())[-4:].mean()
        assert found.has_mask[0] == pytest.approx(top, abs=1e-4)


def test_a_mirror_image_gets_the_mirrored_answer(mirrored: Path) -> None:
    session = Session.open(mirrored)
    one = session.run(phantom())
    other = session.run(np.ascontiguousarray(phantom()[..., ::-1]))
    np.testing.assert_allclose(one.probability, other.probability[..., ::-1], atol=1e-5)


def test_weights_are_there_once_and_the_golden_tile_holds(plain: Path, mirrored: Path) -> None:
    assert mirrored.stat().st_size < 1.1 * plain.stat().st_size
    session = Session.open(mirrored)
    check_golden(session)
    assert session.contract.version == "0.2.0"
    assert "not chosen" in session.contract.operating_point.chosen_by


def test_its_score_can_be_calibrated(mirrored: Path) -> None:
    before = Session.open(mirrored).run(phantom()).has_mask[0]
    model = onnx.load(mirrored)
    shift_activation(model, "activation", 1.5)
    moved = mirrored.with_name("moved.onnx")
    onnx.save(model, moved)
    assert Session.open(moved).run(phantom()).has_mask[0] == pytest.approx(before + 1.5, abs=1e-4)


def test_twice_is_refused(mirrored: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="looks at mirror images already"):
        mirror(mirrored, "0.3.0", tmp_path / "twice.onnx")
