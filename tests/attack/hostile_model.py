"""A model file that has no end: no service starts with it, nor takes the machine's memory."""

import subprocess

import psutil

from tests.attack.attack import MIB, Attack, Sent
from tests.attack.target import START_S, Target
from tests.ports import free_port
from tests.waiting import comes_true

BOUND_MIB = 3072
"""It is ended here where nothing else does it."""


def _dev_zero(target: Target) -> Sent:
    target.environment["MAMMOSEG_MODEL"] = "/dev/zero"
    process = target.run("service", "serve", "--port", str(free_port()))
    refused = comes_true(lambda: process.poll() is not None or _is_too_large(process), START_S)
    if refused and process.returncode not in (None, 0, -9):
        return Sent(0, 0)
    process.kill()
    return Sent(0, 0, ("it was not refused",))


def _is_too_large(process: "subprocess.Popen[bytes]") -> bool:
    try:
        return bool(psutil.Process(process.pid).memory_info().rss > BOUND_MIB * MIB)
    except psutil.Error:
        return True


ATTACKS = (Attack("model-endless", "a start with MAMMOSEG_MODEL=/dev/zero", _dev_zero, alone=True),)
