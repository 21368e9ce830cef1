"""The `mammoseg` command: serve, segment, doctor, demo."""

from pathlib import Path
from typing import Annotated

import typer

from service.app import create_app, open_inbox
from service.doctor.command import doctor
from service.errors import MammosegError, StartupError
from service.inbox import commands as inbox_commands
from service.integration import commands as integration
from service.listening import check_address
from service.loading import open_segmenter
from service.logs import configure_logs
from service.outputs.files import OVERLAY_SIDE, write_findings
from service.replay_command import replay
from service.segmenter import SegmentOptions
from service.server import serve as run_server
from service.terminal import (
    console,
    fail,
    settings_or_exit,
    stderr,
    warn_of_retired_variables,
)

app = typer.Typer(
    help="Find lesions in mammograms. Research use only: not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(integration.app)
app.add_typer(inbox_commands.app, name="inbox")
app.command()(inbox_commands.scp)
app.command()(doctor)
app.command()(replay)


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.")] = None,
) -> None:
    """Serve over HTTP until SIGTERM. Every setting is also an environment variable MAMMOSEG_*."""
    settings = settings_or_exit(host=host, port=port)
    configure_logs(settings.log_level, settings.log_format)
    warn_of_retired_variables()
    try:
        check_address(settings.host, settings.port)
        inbox = open_inbox(settings)
        segmenter = open_segmenter(settings)
        served = create_app(settings, segmenter, inbox)
    except StartupError as error:
        fail(str(error))
    raise typer.Exit(run_server(served, settings))


@app.command()
def segment(
    files: Annotated[list[Path], typer.Argument(help="DICOM, PNG, JPEG or TIFF files.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("findings"),
    ungated: Annotated[bool, typer.Option(help="Keep the mask whatever the score.")] = False,
    frame: Annotated[
        int | None,
        typer.Option(min=1, help="Frame of a tomosynthesis, or page of a TIFF, from 1 on."),
    ] = None,
) -> None:
    """Segment files without a server: JSON, mask and overlay for each, in a folder."""
    settings = settings_or_exit()
    configure_logs("warning", "console")
    out.mkdir(parents=True, exist_ok=True)
    refused = 0
    try:
        segmenter = open_segmenter(settings)
    except StartupError as error:
        fail(str(error))
    options = SegmentOptions(gate=not ungated, frame=frame, picture_side=OVERLAY_SIDE)
    with segmenter:
        for file in files:
            try:
                findings = segmenter.segment(file.read_bytes(), options=options)
            except (MammosegError, OSError) as error:
                stderr.print(f"{file}: {error}", style="red", markup=False)
                refused += 1
                continue
            write_findings(out, file.stem, findings)
            console.print(f"{file}: score {findings.has_mask.score:.3f}", markup=False)
    raise typer.Exit(1 if refused else 0)


@app.command()
def openapi(
    file: Annotated[Path, typer.Argument(help="The file, usually openapi.yaml.")],
    check: Annotated[bool, typer.Option(help="Only compare; fail when they differ.")] = False,
) -> None:
    """Write the API's description, or check that the file still is it."""
    from service.openapi import openapi_yaml

    if not check:
        file.write_text(openapi_yaml(), encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != openapi_yaml():
        stderr.print(f"{file} has drifted: run `mammoseg openapi {file}`", markup=False)
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
) -> None:
    """Serve the bundled model, POST real mammograms to it over HTTP, and show what comes back."""
    from service.demo import run_demo

    raise typer.Exit(run_demo(out, console))
