"""`mammoseg train ...` and its kin: what they are asked is passed on to `python -m model_export`.

The training code is a program of its own, which the service never imports.
"""

import os
import sys
from importlib.util import find_spec

import typer

from service.commands.endings import say
from service.exit_status import START_FAILED

MODULE = __name__
TRAINING_CODE = ".".join([*__name__.split(".")[:-3], "model_export"])
"""Beside the service, by the same prefix: none in a checkout, `mammoseg.` where it is installed."""

PASSED_ON = {
    "train": "Train a net into a run folder; an interrupted run can be resumed.",
    "evaluate": "Measure an ONNX file on patients never trained on.",
    "export": "Fold a trained net, write it as ONNX with its contract, and verify it.",
    "calibrate": "Choose the operating point on the validation split.",
    "audit": "Look for duplicates and leaks in training data.",
    "ablate": "Train the rows of a table one after another and compare them.",
    "average": "Average the weights of runs.",
    "combine": "Write one ONNX file that answers with the mean of others.",
    "mirror": "Write an ONNX file that looks at mirror images too.",
    "halve": "Write an ONNX file that computes in half precision.",
    "card": "Write the thresholds and figures of an ONNX file into its model card.",
}
"""Commands of `model_export`; its `verify` needs a run, see `mammoseg model verify` for a file."""

NEEDED = (TRAINING_CODE, "torch", "lightning", "onnx")

app = typer.Typer(add_completion=False)


def _pass_on(context: typer.Context) -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        say(
            f"`{context.info_name}` needs the extra `train`, {missing[0]} is not installed: "
            "pip install '.[train]' in the checkout"
        )
        raise typer.Exit(START_FAILED)
    sys.stdout.flush()
    # -P: what is imported is what is installed, not what lies in the caller's folder.
    command = [sys.executable, "-P", "-m", TRAINING_CODE, str(context.info_name), *context.args]
    os.execv(sys.executable, command)  # noqa: S606 - a shell is what is not wanted


for _name, _help in PASSED_ON.items():
    app.command(
        _name,
        help=_help,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_pass_on)
