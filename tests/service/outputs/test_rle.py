import numpy as np
import pytest
from numpy.typing import NDArray

from service.outputs.rle import coco_rle

pytestmark = pytest.mark.unit


def decoded(counts: list[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """COCO's own reading: runs of zeros and ones by turns, column by column."""
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(shape[1], shape[0]).T


def test_a_hand_worked_example() -> None:
    mask = np.array([[0, 1, 1], [0, 1, 0]], np.bool_)
    assert coco_rle(mask) == [2, 3, 1]


def test_an_empty_mask_is_one_run_of_zeros() -> None:
    assert coco_rle(np.zeros((7, 5), np.bool_)) == [35]


def test_a_full_mask_begins_with_no_zeros() -> None:
    assert coco_rle(np.ones((7, 5), np.bool_)) == [0, 35]


@pytest.mark.parametrize("seed", range(20))
def test_any_mask_is_read_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    mask = rng.random(shape) < rng.random()
    counts = coco_rle(mask)
    assert sum(counts) == mask.size
    assert all(count > 0 for count in counts[1:])
    np.testing.assert_array_equal(decoded(counts, shape), mask)


def test_to_know_where_a_mask_is_empty_changes_nothing() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[2:5, 4:7] = mask[7, 6] = True
    for within in ((4, 7), (0, 12), (3, 9)):
        assert coco_rle(mask, within) == coco_rle(mask)
    assert coco_rle(np.zeros((9, 12), np.bool_), (0, 0)) == [108]
