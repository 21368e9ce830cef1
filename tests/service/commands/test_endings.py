import errno
import io
import sys

import pytest
import typer

from service.commands.endings import ended_in_words
from service.exit_status import (
    BROKEN_PIPE,
    INTERRUPTED,
    PROGRAM_FAILED,
    TRY_AGAIN,
    WRITE_FAILED,
)

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _stdout_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), BROKEN_PIPE, "nobody reads the output"),
        (OSError(errno.ENOSPC, "No space left on device"), WRITE_FAILED, "No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), WRITE_FAILED, "x: Permission"),
        (RuntimeError("can't start new thread"), TRY_AGAIN, "no further thread can be started"),
        (MemoryError("of Doe^Jane"), TRY_AGAIN, "no more memory"),
        (ValueError("Doe^Jane"), PROGRAM_FAILED, "ValueError at endings.py:"),
    ],
)
def test_whatever_happens_is_a_sentence_and_a_status(
    error: BaseException, status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as end, ended_in_words():
        raise error
    assert end.value.exit_code == status
    said = capsys.readouterr().err
    assert said.startswith("mammoseg: ") and sentence in said and said.count("\n") == 1
    assert "Doe" not in said and "Traceback" not in said


def test_an_error_of_the_program_is_shown_whole_to_who_looks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAMMOSEG_LOG_LEVEL", "debug")
    with pytest.raises(ValueError, match="whole"), ended_in_words():
        raise ValueError("whole")


def test_typers_own_ends_pass() -> None:
    with pytest.raises(typer.Exit) as end, ended_in_words():
        raise typer.Exit(7)
    assert end.value.exit_code == 7
