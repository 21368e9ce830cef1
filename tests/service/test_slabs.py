import gc
import os

import numpy as np
import pytest

from service.slabs import STEP, Slabs

pytestmark = pytest.mark.unit


def test_memory_is_lent_again_once_nobody_refers_to_it() -> None:
    slabs = Slabs(2 * STEP)
    slab = slabs.take(100)
    pixels = slabs.lend(slab, (5, 10))
    row = pixels[3]
    del pixels
    assert slabs.idle_bytes == 0, "a view still shows it"
    assert slabs.take(100) is not slab
    del row
    assert slabs.idle_bytes == STEP
    assert slabs.take(100) is slab


def test_pixels_are_what_another_wrote_to_the_file() -> None:
    slabs = Slabs(STEP)
    slab = slabs.take(12)
    written = np.arange(6, dtype=np.uint16).reshape(2, 3)
    os.pwrite(slab.file, written.tobytes(), 0)
    pixels = slabs.lend(slab, (2, 3))
    np.testing.assert_array_equal(pixels, written)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_a_part_of_lent_bytes_is_found_in_its_file() -> None:
    slabs = Slabs(STEP)
    slab = slabs.take(100)
    slab.memory[:100] = bytes(range(100))
    body = slabs.lend_bytes(slab, 100)
    file, start, data = slabs.extent(body[10:][:20])
    assert (file, start, data.tobytes()) == (slab.file, 10, bytes(range(10, 30)))
    assert os.pread(file, 20, start) == data
    assert slabs.extent(body[:0]).start == 0
    del body
    assert slabs.idle_bytes == 0, "the extent still shows it"
    del data
    assert slabs.idle_bytes == STEP
    with pytest.raises(TypeError, match="read-only"):
        slabs.lend_bytes(slab, 1)[0] = 1


@pytest.mark.parametrize("given", [b"abc", memoryview(b"abc"), b""])
def test_bytes_that_were_not_lent_are_copied(given: bytes | memoryview) -> None:
    extent = Slabs(STEP).extent(given)
    assert os.pread(extent.file, len(given), extent.start) == given == extent.data


def test_the_smallest_that_fits_is_taken_and_all_are_no_more_than_agreed() -> None:
    slabs = Slabs(4 * STEP)
    lent = [slabs.lend(slabs.take(size * STEP), (1, 1)) for size in (3, 1, 2)]
    del lent[0]
    assert slabs.idle_bytes == 0, "six are too many"
    del lent[0]
    assert slabs.idle_bytes == STEP, "three are not"
    del lent[0]
    assert slabs.idle_bytes == 3 * STEP
    smallest = slabs.take(1)
    assert (smallest.size, slabs.take(2 * STEP).size) == (STEP, 2 * STEP)


def test_what_fits_nobody_makes_room_for_what_does() -> None:
    slabs = Slabs(4 * STEP)
    lent = [slabs.lend(slabs.take(size * STEP), (1, 1)) for size in (1, 2)]
    lent.clear()
    assert slabs.idle_bytes == 3 * STEP
    large = slabs.lend(slabs.take(3 * STEP), (1, 1))
    assert slabs.idle_bytes == 0
    del large
    assert slabs.idle_bytes == 3 * STEP


def test_what_is_dropped_unlent_is_given_back_to_the_system() -> None:
    slabs = Slabs(STEP)
    slab = slabs.take(1)
    file = slab.file
    os.fstat(file)
    del slab
    gc.collect()
    with pytest.raises(OSError):
        os.fstat(file)
