import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import structlog
from structlog.testing import capture_logs

from service.logs import configure_logs, where
from service.system.unhindered_log import PAUSE_S, UnhinderedWriter
from tests.log_configuration import kept
from tests.waiting import comes_true, ends

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
except ValueError as error:
    logging.getLogger("asyncio").exception("MUSTERMANN %s", error)
    logging.getLogger("uvicorn.error").error(error)
    logging.getLogger("uvicorn.error").error("Traceback\\nValueError: MUSTERMANN")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=error)
"""

NOISE = """
import logging
from service.logs import configure_logs
configure_logs("debug", "json")
for name in ("httpcore.http11", "httpx", "opentelemetry.util.re", "a.package.of.tomorrow"):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    for _ in range(9):
        logger.debug("receive_response_headers.complete %s", ["MUSTERMANN"])
        logger.info("GET https://pacs/MUSTERMANN")
        logger.warning("Header format invalid! %s", "MUSTERMANN", extra={"token": "MUSTERMANN"})
logging.warning("MUSTERMANN")
"""


def test_logs_are_json_lines_and_foreign_voices_are_silent() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"].strip() for line in lines] == [
        *("request", "started", "foreign-log", "foreign-log", "foreign-log"),
        "Exception in ASGI application",
    ]
    assert lines[2]["logger"] == "asyncio" and lines[2]["level"] == "error"
    assert lines[2]["error"] == lines[5]["error"] == "ValueError" and lines[2]["at"]
    assert "MUSTERMANN" not in run.stderr
    assert lines[0]["status"] == 200 and lines[0]["level"] == "info"
    assert run.stdout == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_of_others_no_words_are_written_at_any_level(form: str) -> None:
    script = NOISE.replace('"json"', f'"{form}"')
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "MUSTERMANN" not in run.stdout + run.stderr
    written = run.stderr.splitlines()
    assert len(written) == 4 * 4 + 1
    if form == "json":
        lines = [json.loads(line) for line in written]
        assert {line["event"] for line in lines} == {"foreign-log"}
        assert {line["level"] for line in lines} == {"warning"}
        told = [(line["logger"], line["times"]) for line in lines]
        assert told[:5] == [*(("httpcore.http11", times) for times in (1, 2, 4, 8)), ("httpx", 1)]
        assert lines[0]["logged_at"].startswith("<string>:") and told[-1] == ("root", 1)


@contextmanager
def unread_pipe() -> Iterator[tuple[int, int]]:
    """Give the ends of a pipe that is full: what reads, and what is written to."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 512)
    os.set_blocking(writes, True)
    try:
        yield reads, writes
    finally:
        for end in (reads, writes):
            with suppress(OSError):
                os.close(end)


def written(writer: UnhinderedWriter, lines: list[bytes]) -> None:
    for line in lines:
        writer.write(line + b"\n")


def read_until(reads: int, last: bytes) -> list[bytes]:
    text = b""
    while not text.endswith(last):
        text += os.read(reads, 2**16)
    return text.lstrip(b"x").splitlines()


def test_a_log_that_nobody_reads_holds_nobody_up_and_is_written_once_somebody_does() -> None:
    with unread_pipe() as (reads, writes):
        writer = UnhinderedWriter(writes)
        lines = [f"{number} {'y' * number}".encode() for number in range(0, 9000, 300)]
        assert ends(lambda: written(writer, lines))
        assert not writer.is_done
        assert read_until(reads, lines[-1] + b"\n") == lines
        writer.write(b"at once\n")
        assert read_until(reads, b"at once\n") == [b"at once"]


def test_a_terminal_that_nobody_looks_at_holds_nobody_up_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, shown = os.openpty()
    try:
        writer = UnhinderedWriter(shown)
        lines = [b"%d %s" % (number, b"y" * 290) for number in range(300)]
        assert ends(lambda: written(writer, lines))
        assert not writer.is_done
        tried: list[bytes] = []

        def nothing_taken(line: bytes) -> bytes:
            tried.append(line)
            return line

        # As a terminal that says that it is ready, and takes nothing.
        monkeypatch.setattr(writer, "_is_ready", lambda wait_s: True)
        monkeypatch.setattr(writer, "_written", nothing_taken)
        assert comes_true(lambda: tried)
        began, before = time.monotonic(), len(tried)
        time.sleep(1.0)
        more, took_s = len(tried) - before, time.monotonic() - began
        monkeypatch.undo()
        # Between two tries lies a pause.
        assert more <= took_s / PAUSE_S + 2
        assert os.get_blocking(shown)
        assert read_until(looks, lines[-1] + b"\r\n") == lines
    finally:
        os.close(looks)
        os.close(shown)


def test_lines_beyond_the_bound_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.system.unhindered_log.MAX_WAITING_BYTES", 20)
    with unread_pipe() as (reads, writes), capture_logs() as logs:
        writer = UnhinderedWriter(writes)
        for number in range(5):
            writer.write(b"line %d..\n" % number)
        assert read_until(reads, b"1..\n") == [b"line 0..", b"line 1.."]
        assert comes_true(lambda: logs != [])
    assert [(line["event"], line["lines"]) for line in logs] == [("log-lines-dropped", 3)]


def test_a_log_whose_reader_has_ended_is_written_to_nobody() -> None:
    with unread_pipe() as (reads, writes):
        writer = UnhinderedWriter(writes)
        writer.write(b"waits\n")
        os.close(reads)
        assert comes_true(lambda: writer.is_done)
        writer.write(b"more\n")
        assert writer.is_done


def test_the_end_of_a_process_waits_a_moment_for_who_reads_slowly() -> None:
    script = (
        "import structlog\n"
        "from service.logs import configure_logs\n"
        "configure_logs('info', 'json', waits=False)\n"
        "for number in range(3000): structlog.get_logger('mammoseg').info('line' * 10, n=number)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        time.sleep(0.3)
        lines = [json.loads(line) for line in [first, *process.stderr]]
    assert [line["n"] for line in lines] == list(range(3000))


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
