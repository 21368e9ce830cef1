import pytest

from model_export.export.tile_shapes import TILE_MM, tile_shapes
from service.inference.tiling import GRID

pytestmark = pytest.mark.unit


def test_at_four_tenths_of_a_millimetre_they_are_those_of_the_shipped_files() -> None:
    shapes = tile_shapes(0.4)
    assert (shapes.tile_size, shapes.stride) == (640, 512)
    assert shapes.narrower == (
        (544, 256), (544, 320), (544, 416), (640, 256), (640, 320), (640, 416),
    )  # fmt: skip


@pytest.mark.parametrize("working_mm", [0.2, 0.25, 0.3, 0.32, 0.5, 0.7])
def test_at_any_spacing_they_hold_as_much_of_the_breast_and_hardly_more(working_mm: float) -> None:
    shapes = tile_shapes(working_mm)
    assert TILE_MM <= shapes.tile_size * working_mm + 1e-3 < TILE_MM + GRID * working_mm
    assert shapes.stride < shapes.tile_size
    for shape in (*shapes.narrower, (shapes.tile_size, shapes.stride)):
        assert all(side % GRID == 0 and side <= shapes.tile_size for side in shape)
