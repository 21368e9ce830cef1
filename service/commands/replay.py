"""`mammoseg replay`."""

import typer

from service.replay_command import replay

app = typer.Typer(add_completion=False)
app.command()(replay)
