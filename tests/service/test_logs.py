import json
import logging
import subprocess
import sys

import pytest
import structlog

from service.logs import configure_logs, where
from tests.log_configuration import kept

pytestmark = pytest.mark.integration

SCRIPT = """
import logging, structlog
from service.logs import configure_logs
configure_logs("info", "json")
structlog.get_logger("mammoseg").info("request", status=200)
structlog.get_logger("mammoseg").debug("hidden")
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("uvicorn.access").info("GET /MUSTERMANN")
logging.getLogger("pydicom").error("MUSTERMANN")
logging.getLogger("highdicom.base").info("MUSTERMANN")
try:
    raise ValueError("MUSTERMANN")
except ValueError:
    logging.getLogger("asyncio").exception("broken")
"""


def test_logs_are_json_lines_and_foreign_voices_are_silent() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["request", "started", "broken"]
    assert lines[2]["error"] == "ValueError" and lines[2]["at"]
    assert "MUSTERMANN" not in run.stderr
    assert lines[0]["status"] == 200 and lines[0]["level"] == "info"
    assert run.stdout == ""


def test_where_names_the_place_and_never_the_text() -> None:
    try:
        raise ValueError("MUSTERMANN")
    except ValueError as error:
        frames = where(error)
    assert frames[-1].startswith("test_logs.py:")
    assert "MUSTERMANN" not in repr(frames)
    assert logging.getLogger("mammoseg").level == logging.NOTSET


def test_what_a_command_does_to_logs_ends_with_its_test(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log, level = structlog.get_logger("mammoseg"), logging.getLogger("highdicom").level
    logging.getLogger("highdicom").setLevel(logging.INFO)
    with kept():
        configure_logs("critical", "json")
        log.warning("hidden")
        assert logging.getLogger("highdicom").level > logging.CRITICAL
    log.warning("seen")
    output, errors = capsys.readouterr()
    assert "seen" in output and "hidden" not in output + errors
    assert logging.getLogger("highdicom").level == logging.INFO
    logging.getLogger("highdicom").setLevel(level)
