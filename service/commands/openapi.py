"""`mammoseg openapi`."""

from pathlib import Path
from typing import Annotated

import typer

from service.openapi import openapi_yaml
from service.terminal import stderr

app = typer.Typer(add_completion=False)


@app.command()
def openapi(
    file: Annotated[Path, typer.Argument(help="The file, usually openapi.yaml.")],
    check: Annotated[bool, typer.Option(help="Only compare; fail when they differ.")] = False,
) -> None:
    """Write the API's description, or check that the file still is it."""
    if not check:
        file.write_text(openapi_yaml(), encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != openapi_yaml():
        stderr.print(f"{file} has drifted: run `mammoseg openapi {file}`", markup=False)
        raise typer.Exit(1)
