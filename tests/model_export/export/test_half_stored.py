"""A net too large for a file of 12 MiB is stored in half precision, and proven all the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from model_export.export import run as exporting
from model_export.export import verify as proving
from model_export.export.half_stored import LARGE, is_stored_in_half
from model_export.networks import LiteOptions
from service.inference.golden import golden_tile
from service.inference.session import Session
from tests.model_export.lived_in import lived_in
from tests.model_export.small_tiles import small_tiles
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration

EXACT = 1e-4
ROUNDED = 0.03
"""Random weights react to rounding more than trained ones."""


@pytest.fixture(scope="module", autouse=True)
def in_small_tiles() -> object:
    with small_tiles():
        yield


def golden_logit(path: Path) -> float:
    return Session.open(path).contract.golden.has_mask_logit


def logit(path: Path) -> float:
    session = Session.open(path)
    return float(session.run(golden_tile(session.contract)).has_mask[0])


def exported(target: Path) -> Path:
    exporting.export(lived_in(LiteOptions()), tiny_config(), target, "0.1.0")
    return target


def test_a_large_net_is_stored_in_half_and_answers_as_it_was_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = exported(tmp_path / "single.onnx")
    monkeypatch.setattr(exporting, "MAX_SINGLE_BYTES", 0)
    half = exported(tmp_path / "half.onnx")
    assert half.stat().st_size < 0.55 * single.stat().st_size
    assert not is_stored_in_half(onnx.load(single))
    for one in onnx.load(half).graph.initializer:
        assert one.data_type != onnx.TensorProto.FLOAT or np.prod(one.dims) < LARGE
    # The golden tile is of the rounded weights, so that nothing of a device's tolerance is spent.
    assert logit(half) == pytest.approx(golden_logit(half), abs=EXACT)
    assert abs(logit(half) - golden_logit(single)) > 10 * EXACT


def test_it_is_verified_against_the_net_as_it_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = lived_in(LiteOptions())
    monkeypatch.setattr(exporting, "MAX_SINGLE_BYTES", 0)
    half = exported(tmp_path / "half.onnx")
    monkeypatch.setattr(proving, "ROUNDED", ROUNDED)
    parity = proving.verify(half, net)
    assert proving.PARITY < max(parity.probability, parity.score) <= ROUNDED
    monkeypatch.setattr(proving, "ROUNDED", proving.PARITY)
    with pytest.raises(proving.ParityError, match="more than 0"):
        proving.verify(half, net)
