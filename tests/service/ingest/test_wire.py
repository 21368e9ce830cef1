import os
import socket

import numpy as np
import pytest

from service.ingest.wire import Answered, Channel, Run, size_of, tiles_in
from service.slabs import open_anonymous_file

pytestmark = pytest.mark.unit


def test_a_message_and_its_file_come_together() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    file = open_anonymous_file()
    os.pwrite(file, b"tiles", 0)
    ours.send(Run(1, ((64, 32),)), file)
    os.close(file)
    ours.send(Answered(2, (0.5,)))
    assert theirs.receive() == Run(1, ((64, 32),))
    received = theirs.receive_file()
    assert os.pread(received, 5, 0) == b"tiles"
    os.close(received)
    assert theirs.receive() == Answered(2, (0.5,))
    ours.close()
    with pytest.raises((EOFError, OSError)):
        theirs.receive()
    with pytest.raises(OSError):
        theirs.send(Answered(3, ()))
    theirs.close()


def test_tiles_of_several_shapes_lie_one_after_another() -> None:
    shapes = [(2, 3), (4, 1)]
    memory = bytearray(size_of(shapes))
    first, second = tiles_in(memory, shapes)
    first[:] = 1
    second[:] = 2
    assert (first.shape, second.shape) == ((2, 3), (4, 1))
    np.testing.assert_array_equal(np.frombuffer(memory, np.float32), [1] * 6 + [2] * 4)
