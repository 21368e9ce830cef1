import numpy as np
import pytest
from PIL import Image, ImageEnhance

from model_export.evaluation.contrast import chosen, contrasted
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


def test_a_hash_of_the_name_chooses_and_more_images_never_change_who_ranks_first() -> None:
    names = [str(number) for number in range(500)]
    few = chosen("rsna-640", names, 20)
    assert len(few) == 20
    assert chosen("rsna-640", reversed(names), 20) == few
    assert few <= chosen("rsna-640", names, 50)
    assert chosen("rsna-640", [*names, *few], 1000) == set(names)
    assert chosen("other", names, 20) != few
