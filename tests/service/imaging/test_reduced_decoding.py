import pytest

from service.imaging.reduced_decoding import ReducedDecoding

pytestmark = pytest.mark.unit

LARGE = (3328, 2560)


@pytest.mark.parametrize(
    ("shape", "stated_mm", "half"),
    (
        (LARGE, (0.07, 0.07), True),
        (LARGE, (0.09, 0.09), True),
        (LARGE, (0.0901, 0.09), False),
        (LARGE, (0.09, 0.0901), False),
        ((2048, 1500), (0.07, 0.07), True),
        ((1500, 2048), (0.07, 0.07), True),
        ((2047, 2047), (0.07, 0.07), False),
        (LARGE, None, False),
    ),
)
def test_half_is_enough_where_spacing_and_size_are_left(shape, stated_mm, half):
    assert ReducedDecoding(0.18, 1024).allows_half(shape, stated_mm) is half


def test_a_spacing_that_is_given_outranks_the_stated_one():
    assert ReducedDecoding(0.18, 0, (0.07, 0.07)).allows_half(LARGE, None)
    assert ReducedDecoding(0.18, 0, (0.07, 0.07)).allows_half(LARGE, (0.2, 0.2))
    assert not ReducedDecoding(0.18, 0, (0.2, 0.2)).allows_half(LARGE, (0.07, 0.07))
