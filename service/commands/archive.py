"""`mammoseg archive`: its options. What it does is in `archiving`, and imported when it is run."""

from pathlib import Path
from typing import Annotated

import typer

from service.batch.formats import complete_formats, parse_formats
from service.commands.segment import Frame, PixelSpacing, Ungated
from service.exit_status import DEVICE_FAILED, INTERRUPTED, SOME_FAILED, WRITE_FAILED
from service.outputs.forms import DICOM_OBJECTS

FORMATS = ("json", "png", *DICOM_OBJECTS)

EPILOG = f"""
[bold]Examples[/]

mammoseg archive /mnt/archive --out results

mammoseg archive /media/cdrom/DICOMDIR --out results --format seg,sr

mammoseg archive 'https://pacs.example/dicom-web/studies?StudyDate=20200101-20201231' --out results

mammoseg archive /mnt/archive --out results --ray auto --gpus 0.5

The same command goes on where it stopped. Every image has one result, however many files it lies
in. Needs the extra `archive`, and for --ray the extra `ray`.

[bold]Exit status[/]

0: all are done.

{SOME_FAILED}: some were refused or not found; items.parquet names them.

2: nothing was begun: an option, a setting, the model, the device, other results in the folder, or
no image at all.

{DEVICE_FAILED}: the device or the cluster failed; the same command goes on.

{WRITE_FAILED}: results cannot be written, as to a full disk, or by two at once.

{INTERRUPTED}: interrupted by Ctrl-C; 143: by SIGTERM.
"""

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(epilog=EPILOG)
def archive(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a DICOMDIR, or a URL of DICOMweb services or of a search for studies.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results of this archive.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"Files of each image beside the tables, separated by commas: "
            f"{', '.join(FORMATS)}; none where empty.",
            autocompletion=complete_formats,
        ),
    ] = "",
    pseudonymous: Annotated[
        bool,
        typer.Option(
            "--pseudonymous",
            help="Name images and studies in scores and regions under STUDY_SECRET_FILE.",
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="Work on a Ray cluster: its address, auto for the one of this machine, or local "
            "for one that is started for this command.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Workers on Ray; by default as many as the cluster has room for."),
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each worker on Ray.")] = 1,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of each worker on Ray, or a fraction of one.")
    ] = 0.0,
    ungated: Ungated = False,
    frame: Frame = None,
    pixel_spacing_mm: PixelSpacing = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no summary.")] = False,
) -> None:
    """Segment a whole archive: Parquet of scores and regions, DICOM objects, one summary."""
    try:
        wanted = parse_formats(formats) if formats.strip() else ()
        if "csv" in wanted:
            raise ValueError(f"takes some of {', '.join(FORMATS)}; tables are Parquet")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from None
    from service.commands.archiving import Choices, OnRay, run

    cluster = None if ray is None else OnRay(ray, workers, cpus, gpus)
    if cluster is None and (workers is not None or cpus != 1 or gpus):
        raise typer.BadParameter("these are of --ray", param_hint="--workers, --cpus, --gpus")
    choices = Choices(
        out, wanted, pseudonymous, not ungated, frame, pixel_spacing_mm, quiet, cluster
    )
    raise typer.Exit(run(source, choices))
