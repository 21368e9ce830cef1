"""What every command shares: where it writes, its settings, and how it gives up."""

import difflib
import errno
import os
import re
from collections.abc import Mapping
from typing import NoReturn

import structlog
import typer
from pydantic import ValidationError
from rich.console import Console

from service.errors import StartupError
from service.exit_status import START_FAILED, TRY_AGAIN
from service.settings import Settings

log = structlog.get_logger("mammoseg")


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `service.commands.endings`; rich would end the process in silence."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


console = _Terminal()
stderr = _Terminal(stderr=True, soft_wrap=True)
"""Breaks no line: whoever looks for a path in a log must find it whole."""

PREFIX = "MAMMOSEG_"

CREDENTIALS = (
    *(
        f"{PREFIX}{server}_{part}"
        for server in ("ORTHANC", "DICOMWEB")
        for part in ("USERNAME", "PASSWORD")
    ),
    f"{PREFIX}SERVICE_KEY",
)
"""Variables that are no settings: commands read them."""

RETIRED = {f"{PREFIX}INGEST": "one process takes all requests"}
"""Variables that were settings once, and why they do nothing any more. A deployment that still has
one starts all the same."""

SERVICE_LINK = re.compile(r"(MAMMOSEG\w*?)_PORT_\d+_(TCP|UDP|SCTP)")
OF_SERVICE = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?")
"""What Kubernetes tells every pod of a service that is called mammoseg, or mammoseg-something: the
first for each of its ports, as `tcp://10.0.0.1:8000`, and what follows the service's name in all of
them."""


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the names of environment variables, a sentence each."""
    known = [*(PREFIX + name.upper() for name in Settings.model_fields), *CREDENTIALS]
    theirs = _of_kubernetes({name.upper(): value for name, value in environment.items()})
    faults = []
    for name in sorted(map(str.upper, environment)):
        if not name.startswith(PREFIX) or name in known or name in RETIRED or name in theirs:
            continue
        near = difflib.get_close_matches(name, known, 1)
        faults.append(f"{name} is no setting" + "".join(f"; is it {one}?" for one in near))
    return faults


def _of_kubernetes(environment: Mapping[str, str]) -> set[str]:
    """Return the names that Kubernetes gave: a misspelt setting may end as they do."""
    services = {
        link[1]
        for name, value in environment.items()
        if (link := SERVICE_LINK.fullmatch(name)) and value.startswith(f"{link[2].lower()}://")
    }
    return {
        name
        for name, value in environment.items()
        for service in services
        if name.startswith(service) and OF_SERVICE.fullmatch(name, len(service))
        # A number there was set by somebody.
        if name.removeprefix(service) != "_PORT" or "://" in value
    }


def settings_or_exit(**given: object) -> Settings:
    """Read the settings; those given, unless None, outrank the environment.

    A variable that looks like a setting and is none ends the command: a bound that is misspelt must
    not be taken for one that holds.
    """
    if faults := unknown_variables(os.environ):
        fail("; ".join(faults))
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            ": ".join((*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")))
            for fault in error.errors()
        ]
        fail("; ".join(faults))


def warn_of_retired_variables() -> None:
    """Log which variables of the environment do nothing any more, and why; once logs are set up."""
    for name in sorted(map(str.upper, os.environ)):
        if name in RETIRED:
            log.warning("setting-retired", setting=name, reason=RETIRED[name])


def fail(reason: str | StartupError) -> NoReturn:
    """Say why the command cannot begin, and end it: by another status where that may pass."""
    stderr.print(f"mammoseg cannot start: {reason}", style="red", markup=False)
    passes = isinstance(reason, StartupError) and reason.may_pass
    raise typer.Exit(TRY_AGAIN if passes else START_FAILED)
