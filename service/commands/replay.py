"""`mammoseg replay`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.errors import StartupError
from service.loading import open_segmenter
from service.logs import configure_logs
from service.replay import WELL, BadLine, Images, Replay, Replayer, lines_of
from service.telemetry.inference_line import InferenceLine, Pseudonyms
from service.telemetry.opening import read_secret
from service.terminal import console, fail, settings_or_exit

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    line: Annotated[
        str, typer.Argument(help="A JSON line, a file with such lines, or - for standard input.")
    ],
    images: Annotated[
        Path, typer.Option(exists=True, help="Folder with the images, or one image file.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for programs.")
    ] = False,
) -> None:
    """Do inferences again, and say whether every bit came out as INFERENCE_LOG has it.

    \b
    mammoseg replay /var/log/mammoseg/inferences.jsonl --images /archive/2026
    mammoseg replay '{"event": "inference", ...}' --images view.dcm

    With MAMMOSEG_MODEL and MAMMOSEG_STUDY_SECRET_FILE as the service had them. Exit status: 0 all
    came out again, 1 one did not, 2 it could not begin.
    """  # noqa: D301 - click looks for this very character
    settings = settings_or_exit(inference_log="off")
    configure_logs("warning", "console")
    try:
        lines = list(lines_of(_text(line)))
        pseudonyms = Pseudonyms(read_secret(settings.study_secret_file))
        if not lines:
            fail("there is no line of an inference in what is given")
        segmenter = open_segmenter(settings)
    except (StartupError, BadLine) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the lines cannot be read: {error.strerror}")
    with segmenter:
        replayer, failed = Replayer(segmenter, Images(images, pseudonyms)), 0
        for each in lines:
            outcome = replayer.replay(each)
            failed += outcome.verdict not in WELL
            (_tell_json if as_json else _tell)(each, outcome)
    raise typer.Exit(1 if failed else 0)


def _text(line: str) -> str:
    if line == "-":
        return sys.stdin.read()
    return line if line.lstrip().startswith("{") else Path(line).read_text(encoding="utf-8")


def _tell(line: InferenceLine, outcome: Replay) -> None:
    how = f" (compared by {outcome.compared})" if outcome.differences else ""
    console.print(f"{line.time}: {outcome.verdict}{how}", markup=False, highlight=False)
    for reason in outcome.why:
        console.print(f"  {reason}", markup=False, highlight=False)
    for name, (before, after) in outcome.differences.items():
        console.print(f"  {name}: was {before}, is {after}", markup=False, highlight=False)


def _tell_json(line: InferenceLine, outcome: Replay) -> None:
    said = {
        "time": line.time,
        "image": line.image,
        "verdict": outcome.verdict,
        "compared": outcome.compared,
        "why": outcome.why,
        "differences": outcome.differences,
    }
    sys.stdout.write(json.dumps(said) + "\n")
