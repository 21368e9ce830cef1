"""`mammoseg replay`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.errors import StartupError
from service.logs import configure_logs
from service.replay import WELL, BadLine, Images, Replay, Replayer, lines_of
from service.startup.models import open_segmenter
from service.telemetry.inference_line import InferenceLine, Pseudonyms
from service.telemetry.opening import read_secret
from service.terminal import console, fail, settings_or_exit, stderr

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

    With MAMMOSEG_MODEL and MAMMOSEG_STUDY_SECRET_FILE as the service had them. A broken line is
    named, and the others are tried. Exit status: 0 all came out again, 1 one did not or was
    broken, 2 it could not begin.
    """  # noqa: D301 - click looks for this very character
    settings = settings_or_exit(inference_log="off")
    configure_logs("warning", "console")
    try:
        given = list(lines_of(_text(line)))
        lines = [each for each in given if isinstance(each, InferenceLine)]
        broken = [each for each in given if isinstance(each, BadLine)]
        pseudonyms = Pseudonyms(read_secret(settings.study_secret_file))
        if not lines:
            fail(str(broken[0]) if broken else "there is no line of an inference in what is given")
        segmenter = open_segmenter(settings)
    except StartupError as error:
        fail(str(error))
    except OSError as error:
        fail(f"the lines cannot be read: {error.strerror}")
    with segmenter:
        replayer, failed = Replayer(segmenter, Images(images, pseudonyms)), len(broken)
        for each in lines:
            outcome = replayer.replay(each)
            failed += outcome.verdict not in WELL
            (_tell_json if as_json else _tell)(each, outcome)
    _tell_of_broken(broken, len(given), as_json=as_json)
    raise typer.Exit(1 if failed else 0)


def _text(line: str) -> str:
    if line == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if line.lstrip().startswith("{"):
        return line
    # A line may be broken off within a letter.
    return Path(line).read_text(encoding="utf-8", errors="replace")


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


def _tell_of_broken(broken: list[BadLine], given: int, *, as_json: bool) -> None:
    if as_json:
        for each in broken:
            told = {"line": each.number, "verdict": "no-line", "why": [each.why]}
            sys.stdout.write(json.dumps(told) + "\n")
        return
    for each in broken:
        stderr.print(str(each), style="red", markup=False, highlight=False, soft_wrap=True)
    if broken:
        stderr.print(f"{len(broken)} of {given} lines are no lines of inferences", style="red")
