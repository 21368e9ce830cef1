"""What the inbox's loops do when a step fails: they say so, wait, and try again."""

import asyncio
import errno
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from service.inbox.database import DatabaseFails, LeaseLost
from service.inbox.poller import Poller
from service.logs import where
from service.system.sqlite_file import FileReplaced

log = structlog.get_logger("mammoseg")

Answer = TypeVar("Answer")

FAULT_S = 5.0
"""Pause of a loop after a fault, of the disk as a rule."""


async def until_done(
    poller: Poller, step: Callable[[], Answer], failing: Callable[[bool], None]
) -> Answer | None:
    """Try something on a thread until it is done; None when stopped before.

    Parameters
    ----------
    poller
        Says when to stop.
    step
        What is tried. A fault that stays the same is logged once.
    failing
        Is told of each try whether it failed.
    """
    told = None
    while not poller.stopped:
        try:
            answer = await asyncio.to_thread(step)
        except Exception as error:
            failing(True)
            if (fault := _said_of(error)) != told:
                log.error("inbox-fault", **fault)
            told = fault
            await poller.pause(FAULT_S)
        else:
            failing(False)
            return answer
    return None


async def persist(
    poller: Poller,
    step: Callable[[], Awaitable[None]],
    failing: Callable[[bool], None],
    prove: Callable[[], None],
) -> None:
    """Take one step after the other until stopped, whatever becomes of any of them.

    Parameters
    ----------
    poller
        Says when to stop.
    step
        Is taken. A fault that stays the same is logged once.
    failing
        Is told of each step whether the disk or the database failed.
    prove
        Fails while nothing can be written down: after a fault nothing is done that would then be
        done again.

    Raises
    ------
    FileReplaced
        The database is another by now: what is known of its rows holds no more.
    """
    told = None
    while not poller.stopped:
        try:
            if told is not None:
                await asyncio.to_thread(prove)
            await step()
        except LeaseLost:
            log.warning("inbox-not-ours")
        except FileReplaced:
            raise
        except Exception as error:
            # An error of the program in one loop leaves the others at their work.
            failing(isinstance(error, OSError | sqlite3.Error | DatabaseFails))
            # Wherever it was met: in a step, or before one.
            if (fault := _named(error)) != told:
                log_fault(error)
            told = fault
            await poller.pause(FAULT_S)
        else:
            failing(False)
            if told is not None:
                log.info("inbox-goes-on", after=told["error"])
            told = None


def log_fault(error: Exception) -> None:
    """Say what hinders the work on the inbox."""
    log.error("inbox-fault", **_said_of(error))


def log_ended(error: Exception) -> None:
    """Say why the work on the inbox is at an end, though nobody stopped it."""
    causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
    for cause in causes:
        log.error("inbox-ended", **_said_of(cause))


def _said_of(error: Exception) -> dict[str, object]:
    return _named(error) | {"at": where(error)}


def _named(error: Exception) -> dict[str, object]:
    said: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, OSError) and error.errno is not None:
        # Its text would name a file; an OSError alone tells an operator little.
        said["errno"] = errno.errorcode.get(error.errno, str(error.errno))
    elif isinstance(error, DatabaseFails):
        said["code"] = error.code
    elif (name := getattr(error, "sqlite_errorname", None)) is not None:
        # As SQLITE_FULL.
        said["code"] = name
    return said
