"""What a unit test may not do is seen, and what it may is not."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.models import BUNDLED_MODEL
from tests.unit_marker import watching

pytestmark = pytest.mark.integration


def listen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), "a process"),
        (listen, "a server"),
        (lambda: TestClient(FastAPI()), "a test client"),
        (BUNDLED_MODEL.read_bytes, f"the file {BUNDLED_MODEL.name}"),
    ],
)
def test_what_reaches_beyond_memory_is_seen(act: Callable[[], object], what: str) -> None:
    with watching() as opened:
        act()
    assert opened == {what}
    act()


def test_a_session_is_seen() -> None:
    from service.inference.session import Session

    with watching() as opened:
        Session.open(BUNDLED_MODEL)
    assert "an ONNX session" in opened


def test_code_and_temporary_files_are_free(tmp_path: Path) -> None:
    with watching() as opened:
        (tmp_path / "file").write_text("x")
        Path(__file__).read_text()
    assert opened == set()
