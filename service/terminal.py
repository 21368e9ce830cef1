"""What every command shares: where it writes, its settings, and how it gives up."""

from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from service.settings import Settings

console = Console()
complaints = Console(stderr=True)

START_FAILED = 2
"""Exit status of a command that could not begin."""


def settings_or_exit(**given: object) -> Settings:
    """Read the settings; those given, unless None, outrank the environment."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            ": ".join((*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")))
            for fault in error.errors()
        ]
        give_up("; ".join(faults))


def give_up(reason: str) -> NoReturn:
    """Say why the command cannot begin, and end it."""
    complaints.print(f"mammoseg cannot start: {reason}", style="red", markup=False)
    raise typer.Exit(START_FAILED)
