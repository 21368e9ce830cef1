"""SIGHUP asks for new files of the models, unless it says that the terminal is gone."""

import os
import signal

import pytest

from service.app import create_app
from service.connections.server import Server, config_of
from service.settings import Settings

pytestmark = pytest.mark.integration


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
    assert server._reload_asked
    assert not server.should_exit
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_service_whose_terminal_was_closed_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with server.hearing_hangups():
        monkeypatch.setattr(os, "isatty", lambda _: False)
        hang_up()
    assert server.should_exit
