"""What the commands share: their options, their console, and how they end."""

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()

DATA = Path("../shared/data")
PACKED = Path("data-cache")
CONFIGS = Path(__file__).parent / "configs"
LITE = CONFIGS / "lite.toml"

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
