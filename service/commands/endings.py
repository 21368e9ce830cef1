"""Whatever ends a command, it ends with a sentence and an exit status, never with a traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from service.exit_status import (
    BROKEN_PIPE,
    INTERRUPTED,
    PROGRAM_FAILED,
    TRY_AGAIN,
    WRITE_FAILED,
)
from service.system.process_limits import LACK_OF_THREADS, is_lack_of_threads


@contextmanager
def ended_in_words() -> Iterator[None]:
    """Turn what nobody caught in the context into a sentence on stderr and an exit status.

    An error of the program names its type and place, not its text, which may quote an image; the
    whole traceback comes with MAMMOSEG_LOG_LEVEL=debug.
    """
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        if error.errno == errno.EPIPE:
            let_go_of_stdout()
            say("nobody reads the output any more")
            raise typer.Exit(BROKEN_PIPE) from None
        let_go_of_stdout()
        say(f"cannot go on: {reason_of(error)}")
        raise typer.Exit(WRITE_FAILED) from None
    except Exception as error:
        if lacking := _lacking(error):
            say(f"cannot go on: {lacking}")
            raise typer.Exit(TRY_AGAIN) from None
        # Typer's own say themselves how the command ends.
        if hasattr(error, "exit_code") or os.environ.get("MAMMOSEG_LOG_LEVEL") == "debug":
            raise
        from service.logs import where

        place = ", ".join(where(error)[-2:])
        say(f"an error of the program, please report it: {type(error).__name__} at {place}")
        raise typer.Exit(PROGRAM_FAILED) from None


def _lacking(error: Exception) -> str:
    """Return what the system has too little of; nothing where it is no fault of the system's."""
    if is_lack_of_threads(error):
        return LACK_OF_THREADS
    if isinstance(error, MemoryError):
        return "the system gives no more memory (a container's limit, ulimit -v)"
    return ""


def say(sentence: str) -> None:
    """Print a sentence on stderr, if there is one that still takes it."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"mammoseg: {sentence}\n")
        sys.stderr.flush()


def reason_of(error: OSError) -> str:
    """Return what the system says of an error, and of which file."""
    reason = error.strerror or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def let_go_of_stdout() -> None:
    """Let what is left to be printed go nowhere: else Python complains of it when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
