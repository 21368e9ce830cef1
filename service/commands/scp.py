"""`mammoseg scp`."""

import typer

from service.inbox.commands import scp

app = typer.Typer(add_completion=False)
app.command()(scp)
