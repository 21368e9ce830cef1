"""The probe asks where the service listens."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from service import probe
from service.system.listening import closing_all, sockets_on

pytestmark = pytest.mark.integration


@contextmanager
def ready_service(host: str) -> Iterator[int]:
    """Answer every question on each of a host's addresses; gives the port."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with closing_all(sockets_on(host, 0)) as opened, ExitStack() as stack:
        for each in opened:
            server = HTTPServer(each.getsockname()[:2], Ready, bind_and_activate=False)
            server.socket.close()
            server.socket = each
            server.server_activate()
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
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


def test_who_listens_on_all_addresses_of_a_machine_without_ipv6_is_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ready_service("0.0.0.0") as port:
        monkeypatch.setenv("MAMMOSEG_HOST", "::")
        monkeypatch.setenv("MAMMOSEG_PORT", str(port))
        assert probe.main() == 0
