"""What `mammoseg segment` does."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.api.options import parse_spacing
from service.batch.job import Job
from service.batch.report import Report
from service.batch.results import NotWritten
from service.batch.sources import Found, find
from service.commands.endings import say
from service.errors import DeviceFailed, InvalidRequest, StartupError
from service.exit_status import DEVICE_FAILED, INTERRUPTED, SOME_FAILED, WRITE_FAILED
from service.logs import configure_logs
from service.segmenter import SegmentOptions
from service.terminal import console, fail, settings_or_exit, stderr

TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says, beside the files.

    Attributes
    ----------
    out
        Folder for the results.
    formats
        Results to make; see `service.batch.formats`.
    gate, frame
        As of `SegmentOptions`.
    pixel_spacing_mm
        As it was written; None for what the images say.
    overwrite
        Do again what is done.
    quiet
        No bar, no table.
    """

    out: Path
    formats: tuple[str, ...]
    gate: bool
    frame: int | None
    pixel_spacing_mm: str | None
    overwrite: bool
    quiet: bool


def run(files: Sequence[str], choices: Choices) -> int:
    """Segment files; return the exit status."""
    settings = settings_or_exit()
    configure_logs("warning", "console")
    options = SegmentOptions(
        _spacing_mm(choices.pixel_spacing_mm), gate=choices.gate, frame=choices.frame
    )
    with Report(console, stderr, quiet=choices.quiet) as report, _ended_by_sigterm():
        found = find(files, choices.out)
        for fault in found.faults:
            report.fault(fault)
        if not found.sources:
            fail(_nothing_in(found))
        try:
            with Job(
                settings, options, choices.formats, choices.out, overwrite=choices.overwrite
            ) as job:
                refused = job.run(found.sources, report)
        except StartupError as error:
            fail(str(error))
        except NotWritten as error:
            say(f"{error}; the same command goes on")
            return WRITE_FAILED
        except DeviceFailed:
            say("the device failed; the same command goes on")
            return DEVICE_FAILED
        except KeyboardInterrupt:
            say("interrupted; the same command goes on")
            return INTERRUPTED
    return SOME_FAILED if refused or found.faults else 0


def _spacing_mm(text: str | None) -> tuple[float, float] | None:
    try:
        return parse_spacing(None if text is None else [text])
    except InvalidRequest:
        fail("--pixel-spacing-mm takes one number, or row,column, in mm")


def _nothing_in(found: Found) -> str:
    if found.others:
        return f"there is no image: {found.others} files are none"
    return "there is no image"


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the context in order: what is in work is given up, the cursor is back."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
