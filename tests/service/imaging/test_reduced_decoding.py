import pytest

from service.imaging.reduced_decoding import ReducedDecoding

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("stated_mm", "half"),
    (
        ((0.07, 0.07), True),
        ((0.09, 0.09), True),
        ((0.0901, 0.09), False),
        ((0.09, 0.0901), False),
        (None, False),
    ),
)
def test_half_is_enough_where_the_spacing_is_fine(stated_mm, half):
    assert ReducedDecoding(0.18).allows_half(stated_mm) is half


def test_a_spacing_that_is_given_outranks_the_stated_one():
    assert ReducedDecoding(0.18, (0.07, 0.07)).allows_half(None)
    assert ReducedDecoding(0.18, (0.07, 0.07)).allows_half((0.2, 0.2))
    assert not ReducedDecoding(0.18, (0.2, 0.2)).allows_half((0.07, 0.07))
