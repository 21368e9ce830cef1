"""`mammoseg demo`."""

from pathlib import Path
from typing import Annotated

import typer

from service.demo import run_demo
from service.terminal import console

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
) -> None:
    """Serve the bundled model, POST real mammograms to it over HTTP, and show what comes back."""
    raise typer.Exit(run_demo(out, console))
