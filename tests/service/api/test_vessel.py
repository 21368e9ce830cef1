import pytest

from service.api.vessel import HEAD_BYTES, Vessel
from service.errors import InvalidRequest
from service.slabs import STEP, Slabs

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [6, None])
def test_what_was_poured_in_lies_in_lent_memory(size: int | None) -> None:
    slabs = Slabs(STEP)
    vessel = Vessel(slabs, size, STEP)
    vessel.pour(b"abc")
    assert vessel.length == 3
    vessel.pour(b"def")
    contents = vessel.contents()
    assert contents == b"abcdef"
    assert slabs.extent(contents).data.obj is contents.obj, "not copied"
    del vessel
    assert slabs.idle_bytes == 0
    del contents
    assert slabs.idle_bytes == STEP


def test_who_waits_for_a_body_takes_no_memory() -> None:
    slabs = Slabs(STEP)
    slabs.lend_bytes(slabs.take(1), 1).release()
    waiting = Vessel(slabs, STEP, STEP)
    assert slabs.idle_bytes == STEP
    waiting.pour(bytes(HEAD_BYTES))
    # Nor who sends little.
    assert slabs.idle_bytes == STEP
    waiting.pour(b"abc")
    assert slabs.idle_bytes == 0
    assert waiting.contents() == bytes(HEAD_BYTES) + b"abc"


def test_nothing_is_a_body_too() -> None:
    assert Vessel(Slabs(0), 0, STEP).contents() == b""


def test_more_than_was_to_come_is_refused() -> None:
    vessel = Vessel(Slabs(0), 10, 4 * STEP)
    vessel.pour(bytes(STEP))
    with pytest.raises(InvalidRequest) as caught:
        vessel.pour(b"x")
    assert caught.value.code == "body-length"
    assert vessel.length == STEP


def test_memory_for_the_most_is_not_there_before_it_comes() -> None:
    most = 2**34
    vessel = Vessel(Slabs(0), None, most)
    vessel.pour(b"x")
    assert vessel.contents() == b"x"
