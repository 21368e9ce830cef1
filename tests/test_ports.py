"""Ports of tests are nobody else's."""

import socket
import sys

import pytest

from service.system import server_process
from tests.ports import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no port so"),
]


def test_a_held_port_is_given_to_nobody_and_can_be_listened_on() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with (
        socket.create_server(("127.0.0.1", port)) as server,
        socket.create_connection(("127.0.0.1", port)) as caller,
    ):
        accepted, _ = server.accept()
        accepted.close()
        assert caller.recv(1) == b""


def test_no_port_is_given_twice() -> None:
    held = [free_port() for _ in range(300)]
    asked = [server_process.free_port() for _ in range(3000)]
    assert len(set(held)) == len(held)
    assert not set(held) & set(asked)
