import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.imaging.lut import lookup_table

pytestmark = pytest.mark.unit


def item(descriptor, data, vr="US"):
    made = Dataset()
    if descriptor is not None:
        made.add_new("LUTDescriptor", "US", descriptor)
    if data is not None:
        made.add_new("LUTData", vr, data)
    return made


def test_values_outside_map_to_the_ends():
    table = lookup_table(item([3, 10, 8], [5, 60, 200]), signed=False)
    np.testing.assert_array_equal(
        table.look_up(np.array([0, 10, 11, 12, 99])), [5, 5, 60, 200, 200]
    )
    assert table.maximum == 255


def test_a_first_value_below_zero():
    table = lookup_table(item([2, 65536 - 7, 16], [1, 2]), signed=True)
    assert table.first == -7
    assert lookup_table(item([2, 65536 - 7, 16], [1, 2]), signed=False).first == 65529


def test_zero_entries_stand_for_all():
    table = lookup_table(item([0, 0, 16], list(range(65536))), signed=False)
    np.testing.assert_array_equal(table.look_up(np.array([0, 65535])), [0, 65535])


def test_bytes_packed_into_words():
    table = lookup_table(item([3, 0, 8], bytes([7, 8, 9, 0]), "OW"), signed=False)
    np.testing.assert_array_equal(table.entries, [7, 8, 9])


@pytest.mark.parametrize("stated", range(1, 17))
@pytest.mark.parametrize("taken", range(1, 17))
def test_entries_that_take_other_bits_than_stated_are_scaled_by_the_largest(stated, taken):
    for largest in ((1 << taken) - 1, 1 << (taken - 1)):
        table = lookup_table(item([2, 0, stated], [0, largest]), signed=False)
        assert table.misstated is (stated != taken)
        assert table.maximum == (largest if table.misstated else (1 << stated) - 1)


@pytest.mark.parametrize(
    ("descriptor", "data"),
    (
        (None, [1, 2]),
        ([2, 0], [1, 2]),
        ([2, 0, 16], None),
        ([3, 0, 16], [1, 2]),
        ([3, 0, 16], [1, 2, 3, 4]),
        ([3, 0, 8], [1]),
        ([0, 0, 16], list(range(65535))),
        ([2, 0, 0], [1, 2]),
        ([2, 0, 17], [1, 2]),
        ([2, 0, 16], [0, 0]),
    ),
)
def test_broken_tables(descriptor, data):
    assert lookup_table(item(descriptor, data), signed=False) is None
