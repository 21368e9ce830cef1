import pytest

from service.api.body_buffer import HEAD_BYTES, BodyBuffer
from service.buffer_pool import STEP, BufferPool
from service.errors import InvalidRequest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [6, None])
def test_what_was_written_lies_in_lent_memory(size: int | None) -> None:
    buffers = BufferPool(STEP)
    body_buffer = BodyBuffer(buffers, size, STEP)
    body_buffer.write(b"abc")
    assert body_buffer.length == 3
    body_buffer.write(b"def")
    contents = body_buffer.contents()
    assert contents == b"abcdef"
    del body_buffer
    assert buffers.idle_bytes == 0
    del contents
    assert buffers.idle_bytes == STEP


def test_who_waits_for_a_body_takes_no_memory() -> None:
    buffers = BufferPool(STEP)
    buffers.lend_bytes(buffers.take(1), 1).release()
    waiting = BodyBuffer(buffers, STEP, STEP)
    assert buffers.idle_bytes == STEP
    waiting.write(bytes(HEAD_BYTES))
    # Nor who sends little.
    assert buffers.idle_bytes == STEP
    waiting.write(b"abc")
    assert buffers.idle_bytes == 0
    assert waiting.contents() == bytes(HEAD_BYTES) + b"abc"


def test_nothing_is_a_body_too() -> None:
    assert BodyBuffer(BufferPool(0), 0, STEP).contents() == b""


def test_more_than_was_to_come_is_refused() -> None:
    body_buffer = BodyBuffer(BufferPool(0), 10, 4 * STEP)
    body_buffer.write(bytes(STEP))
    with pytest.raises(InvalidRequest) as caught:
        body_buffer.write(b"x")
    assert caught.value.code == "body-length"
    assert body_buffer.length == STEP


def test_memory_for_the_most_is_not_there_before_it_comes() -> None:
    most = 2**34
    body_buffer = BodyBuffer(BufferPool(0), None, most)
    body_buffer.write(b"x")
    assert body_buffer.contents() == b"x"
