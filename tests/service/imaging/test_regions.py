import numpy as np
import pytest
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.regions import Region, find_regions, mask_of
from service.imaging.stitch import LesionMap

pytestmark = pytest.mark.unit


def regions_of(probability: NDArray[np.float32], minimum: float = 1.0) -> list[Region]:
    """Regions of a map that lies 1:1 on a 100 x 120 source at row 10, column 20."""
    rows, columns = probability.shape
    lesion_map = LesionMap(probability, Box(10, 20, 10 + rows, 20 + columns), (100, 120))
    return find_regions(
        lesion_map, mask_threshold=0.5, candidate_threshold=0.2, minimum_pixels=minimum
    )


def test_nothing_above_the_candidate_threshold_is_nothing() -> None:
    assert regions_of(np.full((50, 60), 0.19, np.float32)) == []


def test_a_rectangle_is_found_where_it_lies() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[5:15, 30:50] = 0.9
    (region,) = regions_of(probability)
    assert region.box == Box(15, 50, 25, 70)
    assert region.selected
    assert region.area_pixels == 200
    assert region.centroid == (59.5, 19.5)
    assert set(region.contour) == {(50, 15), (50, 24), (69, 15), (69, 24)}
    assert region.max_probability == pytest.approx(0.9)
    assert region.mean_probability == pytest.approx(0.9)


def test_the_mask_is_exactly_the_selected_regions() -> None:
    rng = np.random.default_rng(5)
    coarse = rng.random((10, 12)).astype(np.float32)
    probability = np.kron(coarse, np.ones((5, 5), np.float32))
    regions = regions_of(probability)
    mask = mask_of(regions, (100, 120))
    expected = np.zeros((100, 120), np.bool_)
    expected[10:60, 20:80] = probability >= 0.5
    assert np.array_equal(mask, expected)
    assert sum(region.area_pixels for region in regions if region.selected) == mask.sum()


def test_a_weak_piece_is_a_candidate_but_not_in_the_mask() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[5:15, 5:15] = 0.3
    (region,) = regions_of(probability)
    assert not region.selected
    assert not mask_of([region], (100, 120)).any()


def test_a_weak_bridge_does_not_join_two_strong_pieces() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[5:15, 5:45] = 0.3
    probability[5:15, 5:15] = 0.9
    probability[5:15, 35:45] = 0.8
    regions = regions_of(probability)
    assert [region.area_pixels for region in regions] == [100, 100]
    assert [region.max_probability for region in regions] == pytest.approx([0.9, 0.8])


def test_a_strong_speck_is_listed_unselected() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[5, 5] = 0.9
    (region,) = regions_of(probability, minimum=4.0)
    assert not region.selected


def test_a_weak_speck_is_noise() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[5, 5] = 0.3
    assert regions_of(probability, minimum=4.0) == []


def test_a_ring_keeps_its_hole() -> None:
    probability = np.zeros((50, 60), np.float32)
    probability[10:30, 10:30] = 0.9
    probability[15:25, 15:25] = 0.0
    (region,) = regions_of(probability)
    assert region.area_pixels == 300
