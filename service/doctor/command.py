"""The command `mammoseg doctor`."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from service.doctor.check import Check, State
from service.doctor.report import Report, examine
from service.logs import configure_logs
from service.terminal import console

STYLES: dict[State, str] = {"well": "green", "note": "yellow", "mend": "bold red"}


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON, for programs; so is what no terminal takes.")
    ] = False,
    destinations: Annotated[
        bool, typer.Option("--destinations", help="Ask the inbox's destinations, too.")
    ] = False,
) -> None:
    """Check machine, runtime, device, model and settings, and say what must be mended.

    What serve opens before it serves is opened, too, and let go: nothing of it is left or changed.

    \b
    mammoseg doctor
    MAMMOSEG_DEVICE=cuda mammoseg doctor --destinations
    mammoseg doctor --json | jq .golden_tile

    Exit status: 0 all is well, 1 something must be mended. A note is neither.
    """  # noqa: D301 - click looks for this very character
    configure_logs("error", "console")
    report = Report()
    checks = examine(report, destinations=destinations)
    if as_json or not console.is_terminal:
        list(checks)
        console.print_json(json.dumps(report.document()))
    else:
        _show(report, list(checks))
    raise typer.Exit(0 if report.is_well else 1)


def _show(report: Report, checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(
            f"[{STYLES[check.state]}]{check.state}[/]", escape(check.name), escape(check.found)
        )
        if check.advice:
            table.add_row("", "", f"[{STYLES[check.state]}]-> {escape(check.advice)}[/]")
    console.print(table)
    wrong = sum(check.state == "mend" for check in checks)
    console.print("All is well." if report.is_well else f"{wrong} to be mended.", style="bold")
