"""A group of commands whose modules are imported when they are run, not when they are listed.

Importing all of them takes two seconds of a processor, which `mammoseg --help`, a misspelt command
and every press of Tab would pay.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from service.commands.endings import ended_in_words
from service.system.heap import unsearched


@dataclass(frozen=True, slots=True)
class Deferred:
    """Where a command is, and what is said of it before it is imported.

    Attributes
    ----------
    module
        Has `app`, a Typer: the command itself, or a group that it is of.
    panel
        Heading under which `--help` lists it.
    help
        One line.
    first
        Called before the module is imported, which takes seconds.
    """

    module: str
    panel: str
    help: str
    first: Callable[[], object] = lambda: None

    def load(self, name: str) -> Any:
        """Import the module and return the command."""
        with unsearched():
            module = import_module(self.module)
        command = typer.main.get_command(module.app)
        return getattr(command, "commands", {}).get(name, command)


class DeferredGroup(TyperGroup):
    """Lists `deferred` without importing them, and ends in words whatever happens."""

    deferred: ClassVar[Mapping[str, Deferred]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, each in self.deferred.items():
            self.commands[name] = TyperCommand(name, help=each.help, rich_help_panel=each.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name, and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.deferred:
            self.deferred[name].first()
            command = self.deferred[name].load(name)
        return name, command, rest

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the arguments; `--help` and `--version` print meanwhile."""
        with ended_in_words():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with ended_in_words():
            return super().invoke(ctx)
