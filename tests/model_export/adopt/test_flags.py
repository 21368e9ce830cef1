import pytest

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import RANGES, Flags, range_of
from model_export.adopt.foreign import InputRange

pytestmark = pytest.mark.unit


def test_a_tile_is_rows_by_columns() -> None:
    assert Flags().tile_shape is None
    assert Flags(tile="512x256").tile_shape == (512, 256)


@pytest.mark.parametrize("tile", ["", "512", "512,256", "512x", "-1x2", "512x256x3", "5.0x2"])
def test_a_tile_that_is_no_tile_is_refused(tile: str) -> None:
    with pytest.raises(AdoptError, match="ROWSxCOLUMNS"):
        _ = Flags(tile=tile).tile_shape


def test_pixels_are_told_by_name_or_as_a_window() -> None:
    for name, known in RANGES.items():
        assert range_of(name) == known
    assert range_of("0..4095") == InputRange(window=(0.0, 4095.0))
    assert range_of("12.5..100") == InputRange(window=(12.5, 100.0))


@pytest.mark.parametrize("text", ["", "0", "1..1", "2..1", "-1..1", "0...1", "a..b", "0..1e3"])
def test_pixels_that_are_neither_are_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(AdoptError, match=r"one of 0\.\.1, .*, or LOW\.\.HIGH"):
        range_of(text)
