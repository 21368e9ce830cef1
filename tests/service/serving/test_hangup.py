"""SIGHUP asks for new files of the models, unless it says that the terminal is gone."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from service.app import create_app
from service.connections import server as module
from service.connections.server import Server, config_of
from service.settings import Settings
from service.system.hangups import hear_hangups

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def unheard() -> Iterator[None]:
    """Let nobody hear SIGHUP: a command that another test ran in this process may still do."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def server() -> Server:
    settings = Settings(device="cpu", port=0)
    app = create_app(settings)
    return Server(config_of(app, settings), app, 0.0)


def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


@pytest.mark.parametrize("has_terminal", [True, False])
def test_a_service_that_is_hung_up_on_by_somebody_looks_for_files(
    has_terminal: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(os, "isatty", lambda _: has_terminal)
    with server.hearing_hangups():
        hang_up()
    assert server._hangups is not None and server._hangups.asked
    assert not server.should_exit
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_hangup_before_there_is_a_server_is_acted_on_once_there_is_something_to_reload(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    opened = SimpleNamespace(
        reloader=SimpleNamespace(ask=lambda: asked.append("asked")),
        models=SimpleNamespace(failed=False),
    )
    of_app: list[SimpleNamespace | None] = [None]
    monkeypatch.setattr(module, "services_of", lambda _: of_app[0])
    before = signal.getsignal(signal.SIGHUP)
    try:
        hear_hangups()
        hang_up()
        with server.hearing_hangups():
            for opens in (None, opened, opened):
                of_app[0] = opens
                asyncio.run(server.on_tick(1))
                assert asked == (["asked"] if opens else [])
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_start_whose_terminal_was_closed_ends_by_the_signal() -> None:
    script = (
        "import os, signal\n"
        "from service.system.hangups import hear_hangups\n"
        "os.isatty = lambda _: True\n"
        "hear_hangups()\n"
        "os.isatty = lambda _: False\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGHUP


def test_a_service_whose_terminal_was_closed_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with server.hearing_hangups():
        monkeypatch.setattr(os, "isatty", lambda _: False)
        hang_up()
    assert server.should_exit
