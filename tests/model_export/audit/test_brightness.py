import numpy as np
import pytest

from model_export.audit.brightness import BRIGHTNESS, brightness

pytestmark = pytest.mark.unit


def test_the_six_numbers_are_what_their_names_say() -> None:
    picture = np.zeros((100, 200), np.float32)
    picture[:, :50] = 2.0
    found = dict(zip(BRIGHTNESS, brightness(picture), strict=True))
    assert found["mean"] == pytest.approx(0.5)
    assert (found["max"], found["min"]) == (2.0, 0.0)
    assert found["contrast"] == pytest.approx(np.sqrt(0.75))
    assert found["size"] == pytest.approx(0.25)
    rim = np.ones((100, 200), bool)
    rim[3:-3, 3:-3] = False
    assert found["border"] == pytest.approx(picture[rim].mean())


def test_a_flat_picture_and_a_tiny_one_have_numbers_too() -> None:
    for picture in (np.full((8, 8), 3, np.uint8), np.ones((2, 2), np.uint8)):
        assert np.isfinite(brightness(picture)).all()
