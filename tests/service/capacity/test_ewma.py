import pytest

from service.capacity.ewma import Ewma

pytestmark = pytest.mark.unit


def test_the_first_value_is_the_mean_and_each_further_one_moves_it_by_its_weight() -> None:
    mean = Ewma(0.25)
    assert mean.value is None
    mean.update(8.0)
    assert mean.value == 8.0
    mean.update(0.0)
    assert mean.value == 6.0
    mean.update(6.0)
    assert mean.value == 6.0
