import numpy as np
import pytest
from PIL import Image, ImageEnhance

from model_export.evaluation.contrast import contrasted, is_tried
from model_export.phantom import breast_phantom

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("factor", [0.0, 0.67, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("lifted", [0, 1])
def test_eight_bits_are_stretched_as_pil_does(factor: float, lifted: int) -> None:
    # Means of 33.4 and 33.8: one is rounded down, the other up.
    grey = breast_phantom(96)
    grey[: 96 * lifted // 2] |= 1
    expected = np.asarray(ImageEnhance.Contrast(Image.fromarray(grey)).enhance(factor))
    found = contrasted(grey.astype(np.uint16) * np.uint16(257), factor)
    np.testing.assert_array_equal(found, expected.astype(np.uint16) * 257)


def test_sixteen_bits_keep_their_depth() -> None:
    pixels = np.array([[0, 1001, 30000, 64999]], np.uint16)
    mean = 24000
    found = contrasted(pixels, 1.5)
    assert found.tolist() == [[0, 0, mean + 9000, 65535]]
    assert contrasted(pixels, 1.0).tolist() == pixels.tolist()


def test_all_outlined_images_are_tried_and_a_fifth_of_the_others() -> None:
    assert is_tried("x", "a", outlined=True)
    tried = [is_tried("rsna-640", str(number), outlined=False) for number in range(2000)]
    assert np.mean(tried) == pytest.approx(0.2, abs=0.03)
