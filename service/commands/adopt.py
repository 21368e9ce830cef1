"""`mammoseg adopt`: what it is asked is passed on to `python -m model_export.adopt`."""

import os
import sys
from importlib.util import find_spec

import typer

from service.commands.endings import say
from service.commands.training import TRAINING_CODE
from service.exit_status import START_FAILED

app = typer.Typer(add_completion=False)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def adopt(context: typer.Context) -> None:
    """Make a served file of a net that another framework trained."""
    if find_spec("onnx") is None:
        say("`adopt` needs the extra `adopt`: pip install '.[adopt]' in the checkout")
        raise typer.Exit(START_FAILED)
    sys.stdout.flush()
    # -P: what is imported is what is installed, not what lies in the caller's folder.
    command = [sys.executable, "-P", "-m", f"{TRAINING_CODE}.adopt", *context.args]
    os.execv(sys.executable, command)  # noqa: S606 - a shell is what is not wanted
