"""An address that cannot be listened on is said before anything is loaded, with what to do."""

import errno
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from service.cli import app
from service.connections.server import serve
from service.errors import StartupError
from service.exit_status import TRY_AGAIN
from service.settings import Settings
from service.system.listening import cannot_listen, check_address, closing_all, sockets_on

pytestmark = pytest.mark.integration


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_taken_and_let_go_again(taken: int) -> None:
    check_address("127.0.0.1", 0)
    check_address("localhost", 0)
    with pytest.raises(StartupError, match=rf"port {taken} of 127\.0\.0\.1 is taken"):
        check_address("127.0.0.1", taken)


def test_serving_on_a_taken_port_ends_at_once_and_says_what_to_do(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.commands.serve.configure_logs", lambda *_, **__: None)
    monkeypatch.setenv("MAMMOSEG_MODEL", "never-opened.onnx")
    result = CliRunner().invoke(app, ["serve", "--port", str(taken)])
    assert result.exit_code == TRY_AGAIN
    said = " ".join(result.stderr.split())
    assert f"port {taken} of 127.0.0.1 is taken by another program" in said
    assert f"--port {taken % 65535 + 1}" in said


@pytest.mark.parametrize("host", ["192.0.2.1", "host.invalid"])
def test_an_address_of_another_machine_is_refused_with_what_would_do(host: str) -> None:
    with pytest.raises(StartupError, match=r"set MAMMOSEG_HOST .*127\.0\.0\.1 .* 0\.0\.0\.0"):
        check_address(host, 0)


def test_every_address_is_of_both_families_at_one_port_and_callers_keep_theirs() -> None:
    with closing_all(sockets_on("::", 0)) as opened:
        port = opened[0].getsockname()[1]
        for each in opened:
            each.listen(1)
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port)) as caller:
                server = opened[0] if ":" in address else opened[1]
                accepted, peer = server.accept()
                accepted.close()
                assert peer == caller.getsockname()


def test_an_address_of_which_one_family_is_taken_is_said_to_be(taken: int) -> None:
    with pytest.raises(StartupError, match=rf"port {taken} of :: is taken"):
        check_address("::", taken)


def test_a_port_that_is_for_root_is_said_to_be() -> None:
    error = cannot_listen("127.0.0.1", 80, PermissionError(errno.EACCES, "Permission denied"))
    assert str(error) == "port 80 is for root alone: choose one from 1024 on with --port"


def test_the_last_port_is_followed_by_one_that_exists() -> None:
    error = cannot_listen("::", 65535, OSError(errno.EADDRINUSE, "Address already in use"))
    assert "--port 1" in str(error)


def test_a_port_that_is_lost_to_another_after_the_check_is_no_failed_device(taken: int) -> None:
    settings = Settings(device="cpu", port=taken)
    assert serve(FastAPI(), settings) == TRY_AGAIN
