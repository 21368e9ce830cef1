"""What the commands share: their options, their console, and how they end."""

import re
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_export.config import NAME

console = Console()

VERSION = r"^\d+\.\d+\.\d+$"
"""Of a model, as its contract takes it."""

DATA = Path("../shared/data")
PACKED = Path("data-cache")
CONFIGS = Path(__file__).parent / "configs"
LITE = CONFIGS / "lite.toml"


def _version(value: str) -> str:
    if re.fullmatch(VERSION, value) is None:
        raise typer.BadParameter(f"{value!r} is not major.minor.patch, as 1.0.0")
    return value


def _name(value: str) -> str:
    if re.fullmatch(NAME, value) is None:
        raise typer.BadParameter(
            f"{value!r} is no name of a model: lower-case letters, digits, dots, dashes and "
            "underscores, a letter or a digit first"
        )
    return value


Version = Annotated[
    str, typer.Option(help="Of the new model, major.minor.patch.", callback=_version)
]
Name = Annotated[str, typer.Option(help="Of the model.", callback=_name)]
Data = Annotated[Path, typer.Option(help="Folder that holds one folder a data set.")]
Packed = Annotated[Path, typer.Option(help="Folder for the packed samples.")]
Model = Annotated[Path, typer.Argument(help="The ONNX file.")]
Run = Annotated[Path, typer.Argument(help="The run's folder.")]
Checkpoint = Annotated[str, typer.Option(help="Which of the run's checkpoints: best or last.")]


def terminated(advice: str) -> typer.Exit:
    """Return the exit of a run that got SIGTERM, having said how to go on."""
    Console(stderr=True).print(f"[bold]terminated:[/] {advice}")
    return typer.Exit(128 + signal.SIGTERM)


def interrupted(advice: str) -> typer.Exit:
    """Return the exit of a run that was interrupted, having said how to go on."""
    Console(stderr=True).print(f"[bold]interrupted:[/] {advice}")
    return typer.Exit(130)


def fault(error: Exception) -> typer.Exit:
    """Return the exit of a command that failed, having said why on standard error."""
    Console(stderr=True).print(f"[bold red]failed:[/] {error}")
    return typer.Exit(1)
