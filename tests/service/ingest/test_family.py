import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.ingest import family
from service.ingest.family import DEVICE_FAILED, Family
from service.settings import Settings
from tests.service.ingest.test_remote import ToldNet

pytestmark = pytest.mark.integration

Starter = Callable[..., tuple[Family, ToldNet, list[int]]]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    """Starts families whose processes are what a test says; `run` gives their exit status."""
    monkeypatch.setattr(family, "LOOK_S", 0.01)
    running: list[threading.Thread] = []

    def start(script: str | Exception) -> tuple[Family, ToldNet, list[int]]:
        popen = subprocess.Popen

        def begin(command: list[str], **given: Any) -> Any:
            if isinstance(script, Exception):
                raise script
            return popen([sys.executable, "-c", script, command[-1]], **given)

        monkeypatch.setattr(family.subprocess, "Popen", begin)
        net, statuses = ToldNet(), []
        settings = Settings(ingest=2, memory_mib=8192, lame_duck_s=0, drain_s=0)
        listener = socket.create_server(("127.0.0.1", 0))
        one = Family(net, settings, listener, str(tmp_path))
        running.append(threading.Thread(target=lambda: statuses.append(one.run())))
        running[-1].start()
        return one, net, statuses

    yield start
    for thread in running:
        thread.join(60)
        assert not thread.is_alive()


def ended(statuses: list[int]) -> int:
    while not statuses:
        time.sleep(0.01)
    return statuses[0]


def test_processes_that_never_stay_are_given_up(started: Starter) -> None:
    _, _, statuses = started("raise SystemExit(1)")
    assert ended(statuses) == 1


def test_where_none_can_be_started_it_is_tried_again(started: Starter) -> None:
    one, _, statuses = started(OSError(11, "none left"))
    time.sleep(0.05)
    assert not statuses
    one.end()
    assert ended(statuses) == 0


def test_whoever_hangs_at_the_end_is_killed(
    started: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "HANGING_S", 0.1)
    one, net, statuses = started("import time; time.sleep(600)")
    while len(one._children) < 2:
        time.sleep(0.01)
    net.failed = True
    assert ended(statuses) == DEVICE_FAILED


def test_whoever_is_stopped_is_replaced(started: Starter) -> None:
    one, _, statuses = started("import time; time.sleep(600)")
    while len(one._children) < 2:
        time.sleep(0.01)
    first = one._children[0].process
    first.send_signal(signal.SIGSTOP)
    assert first.wait(20) == -signal.SIGKILL
    while len(one._children) < 2 or one._children[-1].process.poll() is not None:
        time.sleep(0.01)
    one.end(by_force=True)
    assert ended(statuses) == 0


CONFUSED = """
import socket, sys, time
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[-1]))
pipe.recv_bytes()
pipe.send("ready")
pipe.send_bytes(%r)
time.sleep(600)
"""


@pytest.mark.parametrize("rubbish", [b"no pickle", pickle.dumps("a word")], ids=("bytes", "word"))
def test_whoever_talks_rubbish_is_replaced(started: Starter, rubbish: bytes) -> None:
    _, _, statuses = started(CONFUSED % rubbish)
    # Each ends early, so that in the end they are given up.
    assert ended(statuses) == 1
