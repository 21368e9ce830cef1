"""`mammoseg segment`: files, folders and DICOMDIRs, without a server."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from service.api.options import parse_spacing
from service.batch.job import Job
from service.batch.report import Report
from service.batch.results import DEFAULT_FORMATS, FORMATS, NotWritten, parse_formats
from service.batch.sources import Found, find
from service.commands.endings import say
from service.errors import DeviceFailed, InvalidRequest, StartupError
from service.exit_status import DEVICE_FAILED, INTERRUPTED, SOME_FAILED, WRITE_FAILED
from service.imaging.frames import MAX_FRAMES
from service.logs import configure_logs
from service.segmenter import SegmentOptions
from service.terminal import console, fail, settings_or_exit, stderr

TERMINATED = 128 + signal.SIGTERM

EPILOG = f"""
[bold]Examples[/]

mammoseg segment mammogram.dcm

mammoseg segment study/ --out findings --format json,png,seg,sr,csv

mammoseg segment 'archive/**/*.dcm' --format csv

mammoseg segment /media/cdrom/DICOMDIR --out findings

mammoseg segment films/*.png --pixel-spacing-mm 0.05 --ungated

The same command goes on where it stopped: what is done, whole, by the same model and of the same
file, is not done again. A file that is refused is named, and the rest goes on.

[bold]Exit status[/]

0: all are done.

{SOME_FAILED}: some files were refused or not found; they are named.

2: nothing was begun: an option, a setting, the model, the device, or no image at all.

{DEVICE_FAILED}: the device failed; the same command goes on.

{WRITE_FAILED}: results cannot be written, as to a full disk.

{INTERRUPTED}: interrupted by Ctrl-C; 143: by SIGTERM.
"""

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


def _complete_formats(incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{one}" for one in FORMATS if one.startswith(last)]


@app.command(epilog=EPILOG)
def segment(
    files: Annotated[
        list[str],
        typer.Argument(
            help="DICOM, PNG, JPEG or TIFF files, folders of them, patterns, DICOMDIRs.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("findings"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"Results, separated by commas: {', '.join(FORMATS)}.",
            autocompletion=_complete_formats,
        ),
    ] = ",".join(DEFAULT_FORMATS),
    ungated: Annotated[bool, typer.Option(help="Keep the mask whatever the score.")] = False,
    frame: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_FRAMES,
            help="Frame of a tomosynthesis, or page of a TIFF, from 1 on.",
        ),
    ] = None,
    pixel_spacing_mm: Annotated[
        str | None,
        typer.Option(help="One number, or row,column: overrides what the images say."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Do again what is done, over other files' results, too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no table.")] = False,
) -> None:
    """Segment files without a server: results of each in a folder, one CSV of all scores."""
    settings = settings_or_exit()
    configure_logs("warning", "console")
    try:
        wanted = parse_formats(formats)
        spacing_mm = parse_spacing(None if pixel_spacing_mm is None else [pixel_spacing_mm])
    except ValueError as error:
        fail(f"--format {error}")
    except InvalidRequest:
        fail("--pixel-spacing-mm takes one number, or row,column, in mm")
    options = SegmentOptions(spacing_mm, gate=not ungated, frame=frame)
    found = find(files, out)
    with Report(console, stderr, quiet=quiet) as report, _ended_by_sigterm():
        for fault in found.faults:
            report.fault(fault)
        if not found.sources:
            fail(_nothing_in(found))
        try:
            with Job(settings, options, wanted, out, overwrite=overwrite) as job:
                refused = job.run(found.sources, report)
        except StartupError as error:
            fail(str(error))
        except NotWritten as error:
            say(f"{error}; the same command goes on")
            raise typer.Exit(WRITE_FAILED) from None
        except DeviceFailed:
            say("the device failed; the same command goes on")
            raise typer.Exit(DEVICE_FAILED) from None
        except KeyboardInterrupt:
            say("interrupted; the same command goes on")
            raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(SOME_FAILED if refused or found.faults else 0)


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
