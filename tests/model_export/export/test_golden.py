import numpy as np
import pytest

from model_export.export.golden import as_input, make_golden
from model_export.networks import SmallOptions
from model_export.phantom import MASSES, breast_phantom
from service.imaging.breast import find_breast
from service.inference.contract import InputSpec
from tests.model_export.lived_in import lived_in

pytestmark = pytest.mark.unit

SPEC = InputSpec(name="tile", dtype="float32", minimum=0.0, maximum=1.25)


def test_the_phantom_is_the_same_everywhere_and_looks_like_a_breast() -> None:
    phantom = breast_phantom(640)
    np.testing.assert_array_equal(phantom, breast_phantom(640))
    assert not np.array_equal(phantom, breast_phantom(640, seed=8))
    assert find_breast(phantom.astype(np.uint16) * np.uint16(257)).found
    tissue = np.median(phantom[phantom > 0])
    for row, column, _ in MASSES:
        assert phantom[round(row * 640), round(column * 640)] > 1.3 * tissue


def test_values_stand_for_what_the_contract_says() -> None:
    values = as_input(np.array([[0, 51, 255]], np.uint8), SPEC)
    assert values.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(values[0, 0, 0], [0.0, 0.25, 1.25])


def test_the_golden_tile_holds_the_answer_of_the_net() -> None:
    golden = make_golden(lived_in(SmallOptions()), SPEC, 64)
    expected = golden.expected_probability((64, 64))
    assert expected.shape == (8, 8)
    assert expected.std() > 0
    assert np.isfinite(golden.has_mask_logit)
