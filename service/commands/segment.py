"""`mammoseg segment`: its options. What it does is in `segmenting`, and imported when it is run."""

from pathlib import Path
from typing import Annotated

import typer

from service.batch.formats import DEFAULT_FORMATS, FORMATS, complete_formats, parse_formats
from service.exit_status import DEVICE_FAILED, INTERRUPTED, SOME_FAILED, WRITE_FAILED

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

Ungated = Annotated[bool, typer.Option("--ungated", help="Keep the mask whatever the score.")]
Frame = Annotated[
    int | None,
    typer.Option(min=1, help="Frame of a tomosynthesis, or page of a TIFF, from 1 on."),
]
PixelSpacing = Annotated[
    str | None,
    typer.Option(help="One number, or row,column: overrides what the images say."),
]

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


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
            autocompletion=complete_formats,
        ),
    ] = ",".join(DEFAULT_FORMATS),
    ungated: Ungated = False,
    frame: Frame = None,
    pixel_spacing_mm: PixelSpacing = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Do again what is done, and replace other files."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no table.")] = False,
) -> None:
    """Segment files without a server: results of each in a folder, one CSV of all scores."""
    try:
        wanted = parse_formats(formats)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from None
    from service.commands.segmenting import Choices, run

    choices = Choices(out, wanted, not ungated, frame, pixel_spacing_mm, overwrite, quiet)
    raise typer.Exit(run(files, choices))
