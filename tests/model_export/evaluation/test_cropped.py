import numpy as np
import pytest

from model_export.evaluation.cropped import CUT_MM, cropped
from service.imaging.mammogram import Mammogram

pytestmark = pytest.mark.unit


def test_so_many_millimetres_are_cut_from_the_top_and_the_left() -> None:
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    whole = Mammogram(pixels, (0.5, 0.3), laterality="L")
    found = cropped(whole, (0.5, 0.3))
    assert CUT_MM == (1.5, 2.7)
    np.testing.assert_array_equal(found.pixels, pixels[3:, 9:])
    assert (found.pixel_spacing_mm, found.laterality) == ((0.5, 0.3), "L")


def test_of_the_smallest_image_a_pixel_stays() -> None:
    tiny = Mammogram(np.array([[1, 2], [3, 4]], np.uint16), None)
    assert cropped(tiny, (0.3, 0.3)).pixels.tolist() == [[4]]
