"""What `mammoseg segment` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.batch.job import Job
from service.batch.report import Report
from service.batch.sources import Found, find
from service.commands.long_runs import ended_by_sigterm, exit_status_of, spacing_or_fail
from service.exit_status import SOME_FAILED
from service.logs import configure_logs
from service.segmenter import SegmentOptions
from service.settings import Settings
from service.terminal import console, fail, settings_or_exit, stderr


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
        spacing_or_fail(choices.pixel_spacing_mm), gate=choices.gate, frame=choices.frame
    )
    with Report(console, stderr, quiet=choices.quiet) as report, ended_by_sigterm():
        found = find(files, choices.out)
        for fault in found.faults:
            report.fault(fault)
        if not found.sources:
            fail(_nothing_in(found))
        return exit_status_of(partial(_work, found, settings, options, choices, report))


def _work(
    found: Found, settings: Settings, options: SegmentOptions, choices: Choices, report: Report
) -> int:
    with Job(settings, options, choices.formats, choices.out, overwrite=choices.overwrite) as job:
        refused = job.run(found.sources, report)
    return SOME_FAILED if refused or found.faults else 0


def _nothing_in(found: Found) -> str:
    if found.others:
        return f"there is no image: {found.others} files are none"
    return "there is no image"
