import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.heap import CHOSEN

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="glibc's"),
]

MAX_LEFT_MIB = 64

IMAGES = """
import random, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np, psutil
from service.heap import bound_heap
if sys.argv[1] == "bound":
    assert bound_heap()
def image(seed):
    chance, held = random.Random(seed), []
    for _ in range(12):
        held.append(np.ones(chance.randrange(1 << 16, 24 << 20), np.uint8))
        if len(held) > 3:
            held.pop(chance.randrange(4))
me = psutil.Process()
before = me.memory_info().rss
with ThreadPoolExecutor(12) as threads:
    list(threads.map(image, range(240)))
    print((me.memory_info().rss - before) >> 20)
"""


def left_mib(how: str, **environment: str) -> int:
    """Return what threads that worked on images of all sizes leave behind, MiB."""
    command = [sys.executable, "-c", IMAGES, how]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return int(subprocess.check_output(command, text=True, env=plain | environment))


def test_memory_that_was_given_back_is_not_kept() -> None:
    assert left_mib("bound") < MAX_LEFT_MIB


def test_variables_of_the_c_library_stand() -> None:
    names = {name: str(1 << 30) for name, _, _ in CHOSEN if "THRESHOLD" in name}
    assert left_mib("bound", **names) > 2 * MAX_LEFT_MIB


def test_every_command_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr("service.cli.bound_heap", lambda: called.append(True))
    assert CliRunner().invoke(app, ["model", "info"]).exit_code == 0
    assert called == [True]
