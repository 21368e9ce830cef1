"""The `mammoseg` command. What each of its commands needs is imported when it is run."""

import os
import sys
from typing import Annotated

import typer

from service import __version__
from service.commands.deferred import Deferred, DeferredGroup
from service.commands.endings import ended_in_words
from service.commands.training import MODULE, PASSED_ON
from service.exit_status import MEANINGS
from service.system.hangups import hear_hangups
from service.system.heap import bound_heap

SEGMENT, PACS = "Segment mammograms", "Join a PACS"
MODEL, TRAIN = "The model", "Train a model (needs the extra `train`)"

_SERVICE = __name__.removesuffix(".cli")
_HERE, _INBOX = f"{_SERVICE}.commands", f"{_SERVICE}.inbox.commands"
_INTEGRATION = f"{_SERVICE}.integration.commands"


class Commands(DeferredGroup):
    """Every command of `mammoseg`, in the order of its help."""

    deferred = {  # noqa: RUF012 - a ClassVar there
        "segment": Deferred(
            f"{_HERE}.segment", SEGMENT, "Segment files, folders and DICOMDIRs without a server."
        ),
        "archive": Deferred(
            f"{_HERE}.archive", SEGMENT, "Segment an archive, on this machine or a Ray cluster."
        ),
        "serve": Deferred(
            f"{_HERE}.serve", SEGMENT, "Serve over HTTP until SIGTERM.", first=hear_hangups
        ),
        "keys": Deferred(f"{_HERE}.keys", SEGMENT, "Make, list and withdraw API keys."),
        "demo": Deferred(
            f"{_HERE}.demo", SEGMENT, "POST real mammograms to a service; show what comes back."
        ),
        "doctor": Deferred(
            f"{_HERE}.doctor", SEGMENT, "Say whether serve would start here, on which device."
        ),
        "replay": Deferred(
            f"{_HERE}.replay", SEGMENT, "Do logged inferences again; say whether they are the same."
        ),
        "follow": Deferred(
            _INTEGRATION, PACS, "Follow an Orthanc: segment what comes, store the results."
        ),
        "pull": Deferred(_INTEGRATION, PACS, "Fetch and segment the mammograms of a study."),
        "scp": Deferred(f"{_HERE}.scp", PACS, "Take C-STORE into the inbox until SIGTERM."),
        "inbox": Deferred(_INBOX, PACS, "Look into the inbox; replay or forget."),
        "model": Deferred(f"{_HERE}.model", MODEL, "Say what an ONNX file is, or prove it."),
        "adopt": Deferred(f"{_HERE}.adopt", MODEL, "Serve a net that another framework trained."),
        "openapi": Deferred(
            f"{_HERE}.openapi", MODEL, "Write the API's description, or check a file with it."
        ),
        **{name: Deferred(MODULE, TRAIN, help) for name, help in PASSED_ON.items()},
    }


EPILOG = """
[bold]Examples[/]

mammoseg segment study/ --out findings --format json,png,csv

mammoseg serve --port 8001

mammoseg keys add me --file keys.json && MAMMOSEG_KEYS_FILE=keys.json mammoseg serve --host 0.0.0.0

mammoseg model info

mammoseg segment --help

[bold]Exit status[/]

""" + "\n\n".join(f"{status}: {meaning}" for status, meaning in MEANINGS.items())

app = typer.Typer(
    cls=Commands,
    help="Find lesions in mammograms. Research use only: not a medical device.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mammoseg {__version__}")
        raise typer.Exit


@app.callback()
def mammoseg(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take what is the same for every command."""
    bound_heap()


def main() -> None:
    """Run the command line."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal's encoding has not, or bytes that are no text.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    finally:
        # Here and not when Python ends, where what goes wrong is a traceback.
        _flush()


def _open_what_is_closed() -> None:
    """Let standard streams that the caller closed lead nowhere.

    Else the next file or socket that is opened has the number of one, and gets what is printed.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _flush() -> None:
    try:
        with ended_in_words():
            if sys.stdout is not None:
                sys.stdout.flush()
    except typer.Exit as end:
        sys.exit(end.exit_code)
