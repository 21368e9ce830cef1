import gc
import os

import numpy as np
import pytest

from service.buffer_pool import STEP, Buffer, BufferPool, FilledBuffer
from service.reading.shared_buffer import SharedBuffer

pytestmark = pytest.mark.unit


def test_memory_is_lent_again_once_nobody_refers_to_it() -> None:
    buffers = BufferPool(2 * STEP)
    buffer = buffers.take(100)
    pixels = buffers.lend(buffer, (5, 10))
    row = pixels[3]
    del pixels
    assert buffers.idle_bytes == 0, "a view still shows it"
    assert buffers.take(100) is not buffer
    del row
    assert buffers.idle_bytes == STEP
    assert buffers.take(100) is buffer


@pytest.mark.parametrize("kind", [Buffer, FilledBuffer])
def test_pixels_are_what_lies_in_memory_of_this_process(kind: type[Buffer]) -> None:
    buffers = BufferPool(STEP, kind)
    buffer = buffers.take(12)
    written = np.arange(6, dtype=np.uint16).reshape(2, 3)
    buffer.part(12)[:] = np.frombuffer(written.tobytes(), np.uint8)
    pixels = buffers.lend(buffer, (2, 3))
    np.testing.assert_array_equal(pixels, written)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_a_part_of_lent_bytes_is_lent_as_well() -> None:
    buffers = BufferPool(STEP)
    buffer = buffers.take(100)
    buffer.memory[:100] = bytes(range(100))
    body = buffers.lend_bytes(buffer, 100)
    part = body[10:][:20]
    del body
    assert buffers.idle_bytes == 0, "the part still shows it"
    assert part == bytes(range(10, 30))
    del part
    assert buffers.idle_bytes == STEP
    with pytest.raises(TypeError, match="read-only"):
        buffers.lend_bytes(buffer, 1)[0] = 1


def test_the_smallest_that_fits_is_taken_and_all_are_no_more_than_agreed() -> None:
    buffers = BufferPool(4 * STEP)
    lent = [buffers.lend(buffers.take(size * STEP), (1, 1)) for size in (3, 1, 2)]
    del lent[0]
    assert buffers.idle_bytes == 0, "six are too many"
    del lent[0]
    assert buffers.idle_bytes == STEP, "three are not"
    del lent[0]
    assert buffers.idle_bytes == 3 * STEP
    smallest = buffers.take(1)
    assert (smallest.size, buffers.take(2 * STEP).size) == (STEP, 2 * STEP)


def test_what_fits_nobody_makes_room_for_what_does() -> None:
    buffers = BufferPool(4 * STEP)
    lent = [buffers.lend(buffers.take(size * STEP), (1, 1)) for size in (1, 2)]
    lent.clear()
    assert buffers.idle_bytes == 3 * STEP
    large = buffers.lend(buffers.take(3 * STEP), (1, 1))
    assert buffers.idle_bytes == 0
    del large
    assert buffers.idle_bytes == 3 * STEP


def test_what_is_dropped_unlent_is_given_back_to_the_system() -> None:
    buffers = BufferPool(STEP, SharedBuffer)
    buffer = buffers.take(1)
    assert isinstance(buffer, SharedBuffer)
    file = buffer.file
    os.fstat(file)
    del buffer
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
