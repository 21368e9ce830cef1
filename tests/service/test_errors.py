import pickle

import pytest

from service.errors import (
    DeviceFailed,
    MammosegError,
    Overloaded,
    UnreadableImage,
    UnsupportedCoding,
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
