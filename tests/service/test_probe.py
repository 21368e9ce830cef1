"""The probe asks where the service listens."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service import probe
from service.listening import closing_all, sockets_on

pytestmark = pytest.mark.integration


@contextmanager
def ready_service(host: str) -> Iterator[int]:
    """Answer one question on each of a host's addresses; gives the port."""

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with closing_all(sockets_on(host, 0)) as opened:
        for each in opened:
            each.listen(1)
            threading.Thread(target=answer, args=(each,), daemon=True).start()
        yield opened[0].getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "127.0.0.2", "localhost"])
def test_a_service_is_ready_wherever_it_listens(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ready_service(host) as port:
        monkeypatch.setenv("MAMMOSEG_HOST", host)
        monkeypatch.setenv("MAMMOSEG_PORT", str(port))
        assert probe.main() == 0


def test_a_service_that_listens_elsewhere_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with ready_service("127.0.0.2") as port:
        monkeypatch.delenv("MAMMOSEG_HOST", raising=False)
        monkeypatch.setenv("MAMMOSEG_PORT", str(port))
        assert probe.main() == 1
