"""`mammoseg inbox ...` and `mammoseg scp`: the operator's side of the inbox. Patient-free."""

import signal
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Annotated, Literal

import typer
from rich.table import Table

from service.audit.trail import AuditTrail
from service.errors import StartupError
from service.inbox.inbox import DATABASE_FILE, Inbox
from service.inbox.scp import StoreScp
from service.inbox.states import DEAD, FINISHED, Entry, State
from service.logs import configure_logs
from service.reading.pool import ReaderPool
from service.settings import Settings
from service.terminal import console, fail, settings_or_exit, stderr

app = typer.Typer(
    help="Look into the inbox; replay or forget.", no_args_is_help=True, add_completion=False
)

StateName = Literal["received", "processed", "delivered", "dead", "refused", "set-aside"]
Purgeable = Literal["delivered", "dead", "refused", "set-aside"]
_DAY_S = 86_400.0


@app.command("list")
def list_(
    state: Annotated[StateName | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows; the latest come first.")] = 50,
) -> None:
    """List instances, and how many there are in each state."""
    with _open() as inbox:
        entries, counts = inbox.instances.entries(state, limit), inbox.instances.counts()
    _print_entries(entries)
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print(total or "The inbox is empty.")


@app.command()
def dead(
    limit: Annotated[int, typer.Option(min=1, help="Most rows; the latest come first.")] = 50,
) -> None:
    """List the dead letters: instances and results for which no further try is made."""
    with _open() as inbox:
        entries, letters = (
            inbox.instances.entries(DEAD, limit),
            inbox.instances.dead_deliveries(limit),
        )
    _print_entries(entries)
    table = Table("id", "result", "destination", "why", "attempts")
    for each in letters:
        row = (each.entry, each.result.kind, each.destination, each.code, each.attempts)
        table.add_row(*map(str, row))
    if table.row_count:
        console.print(table)


@app.command()
def show(id: Annotated[int, typer.Argument(help="As `list` gives it.")]) -> None:
    """Show one instance and where its results are; its UIDs, but nothing else of its header."""
    with _open() as inbox:
        entry, deliveries = inbox.instances.entry(id), inbox.instances.deliveries(id)
    if entry is None:
        stderr.print(f"There is no instance {id}.")
        raise typer.Exit(1)
    _print_entries([entry])
    console.print(f"SOP Instance UID: {entry.sop_instance_uid}")
    console.print(f"SOP Class UID: {entry.sop_class_uid}")
    console.print(f"Study Instance UID: {entry.study_instance_uid}")
    table = Table("result", "destination", "state", "why", "attempts", "next", "SOP Instance UID")
    for each in deliveries:
        following = _moment(each.due) if each.state == "waiting" else ""
        table.add_row(
            each.result.kind,
            each.destination,
            each.state,
            each.code or "",
            str(each.attempts),
            following,
            each.result.sop_instance_uid,
        )
    if table.row_count:
        console.print(table)


@app.command()
def replay(
    ids: Annotated[list[int] | None, typer.Argument(help="As `list` gives them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
) -> None:
    """Try dead letters again: process what was not processed, deliver what was not delivered."""
    if bool(ids) == every:
        stderr.print("Name instances, or say --all.")
        raise typer.Exit(2)
    with _open() as inbox:
        count = inbox.instances.replay(ids or [])
    console.print(f"{count} replayed.")
    raise typer.Exit(0 if every or count == len(ids or []) else 1)


@app.command()
def purge(
    ids: Annotated[list[int] | None, typer.Argument(help="As `list` gives them.")] = None,
    state: Annotated[Purgeable | None, typer.Option(help="Only those in this state.")] = None,
    older_days: Annotated[float, typer.Option(min=0, help="In it for longer than this.")] = 0.0,
) -> None:
    """Forget finished instances, with their files; dead ones when named, or by `--state dead`.

    What was forgotten is taken and processed again when it is sent again.
    """
    chosen = set(ids or ())
    states: tuple[State, ...] = (state,) if state else (*FINISHED, DEAD) if chosen else FINISHED
    with _open() as inbox:
        count = inbox.purge(states, older_days * _DAY_S, sorted(chosen))
    console.print(f"{count} forgotten.")
    raise typer.Exit(1 if count < len(chosen) else 0)


def scp(
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.")] = None,
) -> None:
    """Take C-STORE into the inbox until SIGTERM; `mammoseg serve` on the same inbox does the work.

    Every setting is also an environment variable MAMMOSEG_*.
    """
    settings = settings_or_exit(scp_port=port)
    configure_logs(settings.log_level, settings.log_format, waits=False)
    if not settings.destinations:
        fail("no destination for results is configured: see docs/inbox.md")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with (
            closing(_reader(settings)) as reader,
            Inbox(settings, reader) as inbox,
            AuditTrail("mammoseg scp", settings.audit_options(settings.inbox)) as audit,
            StoreScp(inbox, settings, audit),
        ):
            stopped.wait()
    except StartupError as error:
        fail(error)


def _reader(settings: Settings) -> ReaderPool:
    """Open one reader: senders' headers are taken apart in a process that may be killed."""
    options = replace(settings.reader_options(), count=1, body_bytes=0, pixel_bytes=0)
    return ReaderPool(options).wait_until_ready()


def _open() -> Inbox:
    settings: Settings = settings_or_exit()
    if settings.inbox_database is None and not (settings.inbox / DATABASE_FILE).is_file():
        fail(f"there is no inbox in {settings.inbox}")
    try:
        return Inbox(settings)
    except StartupError as error:
        fail(error)


def _print_entries(entries: list[Entry]) -> None:
    table = Table("id", "state", "why", "received", "attempts", "next", "MB")
    for entry in entries:
        table.add_row(
            str(entry.id),
            entry.state,
            entry.code or "",
            _moment(entry.received),
            str(entry.attempts),
            _moment(entry.due) if entry.state == "received" else "",
            f"{entry.size / 1e6:.1f}" if entry.size else "",
        )
    if entries:
        console.print(table)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
