"""A model file proven in a process of its own, before this one opens it beside requests.

A graph may ask for any amount of memory, take for ever, or find a fault of the runtime that ends
the process: at the start that is all that is lost, later it would be every request in work.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import ContractError
from service.inference.model_file import ModelFile
from service.system.server_process import MAMMOSEG

PROVING_MIB = 300
"""What that process takes beside this one: 255 to 267 MiB of proportional set size with the bundled
model."""

TIMEOUT_S = 300.0
"""It takes three seconds of a core, of which a machine under load has little to give. At the lowest
priority, it was not done in two minutes there."""

LOOK_S = 0.5
"""Between two looks whether the service ends."""

MAX_REASON = 500

NOT_FOR_THE_PROOF = "MAMMOSEG_MODEL_KEY"
"""The signature is of the file and was checked; the copy that is proven has none beside it."""


def prove(file: ModelFile, ends: Callable[[], bool] = lambda: False) -> None:
    """Prove that a model opens, holds its contract, and reproduces its golden tile on a CPU.

    Parameters
    ----------
    file
        The model.
    ends
        Tells whether the service ends: then the proof is given up.

    Raises
    ------
    ContractError
        It does not, or the process that tried did not end well.
    """
    environment = {name: text for name, text in os.environ.items() if name != NOT_FOR_THE_PROOF}
    with _copy(file) as (path, descriptors):
        # A hang-up sent to every process of the service is no fault of the file.
        died = True
        while died:
            process = subprocess.Popen(
                [*MAMMOSEG, "model", "verify", path, "--device", "cpu"],
                env=environment,
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            with process:
                said = _said(process, ends)
            died = process.returncode == -signal.SIGHUP
    if process.returncode < 0:
        raise ContractError(f"the process that proved it died of signal {-process.returncode}")
    if process.returncode:
        reason = said.decode("utf-8", "replace").strip().replace(path, str(file.path))
        raise ContractError(reason[-MAX_REASON:] or f"exit status {process.returncode}")


@contextmanager
def _copy(file: ModelFile) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a path at which another process finds the very bytes, and descriptors it needs."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile(suffix=".onnx") as copy:
            copy.write(file.content)
            copy.flush()
            yield copy.name, ()
        return
    descriptor = os.memfd_create("model")
    try:
        with open(descriptor, "wb", closefd=False) as copy:
            copy.write(file.content)
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _said(process: "subprocess.Popen[bytes]", ends: Callable[[], bool]) -> bytes:
    """Return what a process says until it ends; it is killed where that takes too long."""
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while time.monotonic() < deadline and not ends():
            try:
                return process.communicate(timeout=LOOK_S)[1]
            except subprocess.TimeoutExpired:
                continue
        why = "the service ends" if ends() else f"it was not proven within {TIMEOUT_S:.0f} s"
        raise ContractError(why)
    finally:
        if process.poll() is None:
            process.kill()
