"""`mammoseg doctor`."""

import typer

from service.doctor.command import doctor

app = typer.Typer(add_completion=False)
app.command()(doctor)
