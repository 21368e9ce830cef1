"""What is installed to serve is what is used to serve."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
UNUSED = {"python-multipart", "requests", "retrying", "watchfiles", "websockets"}
"""Came with what is used: uvicorn's extra `standard`, FastAPI's, and a client for tests."""


@pytest.mark.parametrize("lock", ["cpu", "demo", "gpu"])
def test_no_lock_to_serve_brings_what_nobody_calls(lock: str) -> None:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}
    assert {"uvicorn", "httptools", "uvloop"} <= names
    assert names & UNUSED == set()
