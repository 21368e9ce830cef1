import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from service.ingest.callers import Callers
from service.ingest.wire import Caller, Channel

pytestmark = pytest.mark.unit

Address = tuple[str, int]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def taker() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return Channel(ours), Channel(theirs)


def greet(channel: Channel, word: bytes) -> None:
    assert channel.receive() == Caller()
    with socket.socket(fileno=channel.receive_file()) as caller:
        caller.sendall(word)


def called(address: Address) -> bytes:
    with socket.create_connection(address, timeout=30) as connection:
        return connection.recv(10)


def test_they_come_to_each_in_turn_and_to_none_that_is_gone(listener: socket.socket) -> None:
    address: Address = listener.getsockname()
    callers = Callers(listener)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=30)
    (one, first), (other, second) = taker(), taker()
    callers.join(one)
    callers.join(other)
    waiting = [socket.create_connection(address, timeout=30) for _ in range(4)]
    for channel, word in ((first, b"1"), (second, b"2"), (first, b"1"), (second, b"2")):
        greet(channel, word)
    assert [connection.recv(10) for connection in waiting] == [b"1", b"2", b"1", b"2"]
    first.close()
    threading.Thread(target=lambda: [greet(second, b"2") for _ in range(3)]).start()
    assert [called(address) for _ in range(3)] == [b"2"] * 3
    callers.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=30)
    for end in (*waiting, one, other, second):
        end.close()


def test_a_caller_waits_while_nobody_is_there_to_take_it(listener: socket.socket) -> None:
    address: Address = listener.getsockname()
    callers = Callers(listener)
    (one, first), (other, second) = taker(), taker()
    callers.join(one)
    callers.part(one)
    with socket.create_connection(address, timeout=30) as connection:
        callers.join(other)
        greet(second, b"2")
        assert connection.recv(10) == b"2"
    callers.close()
    callers.close()
    for end in (one, first, other, second):
        end.close()


def test_nobody_ever_took_any_and_it_closes(listener: socket.socket) -> None:
    Callers(listener).close()
    callers = Callers(socket.create_server(("127.0.0.1", 0)))
    one, first = taker()
    callers.join(one)
    callers.part(one)
    with socket.create_connection(callers._listener.getsockname(), timeout=30) as connection:
        callers.close()
        # Reset, where it was never accepted.
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) == b""
    one.close()
    first.close()
