import pickle

import pytest

from service.errors import (
    DeviceFailed,
    MammosegError,
    Overloaded,
    UnreadableImage,
    UnsupportedCoding,
    foreign_errors_as,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "error",
    [
        UnreadableImage("broken", "It is broken."),
        Overloaded("busy", "Later.", 2.5),
        DeviceFailed(),
        UnsupportedCoding("coding", "No.", ["gzip"]),
    ],
)
def test_an_error_travels_between_processes(error: MammosegError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert (there.code, there.detail, there.headers) == (error.code, error.detail, error.headers)
    assert str(there) == str(error)


def test_a_foreign_error_becomes_ours_without_its_text() -> None:
    error = UnreadableImage("bad", "Bad.")
    with pytest.raises(UnreadableImage) as caught, foreign_errors_as(error):
        raise ValueError("DOE^JANE")
    assert caught.value is error
    assert caught.value.__suppress_context__


def test_our_own_errors_pass_and_lack_of_memory_may_have_its_own() -> None:
    memory, own = UnreadableImage("memory", "Memory."), UnreadableImage("own", "Own.")
    for raised, code in ((own, "own"), (MemoryError(), "memory"), (KeyError(), "bad")):
        with (
            pytest.raises(UnreadableImage) as caught,
            foreign_errors_as(UnreadableImage("bad", "Bad."), memory),
        ):
            raise raised
        assert caught.value.code == code
