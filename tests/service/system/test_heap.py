import asyncio
import gc
import os
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from service.cli import app
from service.connections.server import Server, config_of
from service.settings import Settings
from service.system.heap import CHOSEN, unsearched

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="glibc's"),
]

MAX_LEFT_MIB = 64

IMAGES = """
import random, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np, psutil
from service.system.heap import bound_heap
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
    list(threads.map(image, range(72)))
    print((me.memory_info().rss - before) >> 20)
"""


def left_mib(how: str, **environment: str) -> int:
    """Return what threads that worked on images of all sizes leave behind, MiB."""
    command = [sys.executable, "-c", IMAGES, how]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return int(subprocess.check_output(command, text=True, env=plain | environment))


@pytest.mark.long
def test_memory_that_was_given_back_is_not_kept() -> None:
    assert left_mib("bound") < MAX_LEFT_MIB


@pytest.mark.long
def test_variables_of_the_c_library_stand() -> None:
    names = {name: str(1 << 30) for name, _, _ in CHOSEN if "THRESHOLD" in name}
    assert left_mib("bound", **names) > 2 * MAX_LEFT_MIB


def test_every_command_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr("service.cli.bound_heap", lambda: called.append(True))
    assert CliRunner().invoke(app, ["model", "info"]).exit_code == 0
    assert called == [True]


HOLES = """
import ctypes, sys, psutil
from service.system.heap import bound_heap, give_back
bound_heap()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
free = ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]
def block(size):
    at = malloc(size)
    ctypes.memset(at, 1, size)
    return at
def below_one_in_use():
    large = block(1 << 20)
    # What is free below it is filled first: how much that is, is another on each machine.
    while block(9999) < large:
        pass
    return large
me = psutil.Process()
before = me.memory_info().rss
for large in [below_one_in_use() for _ in range(100)]:
    free(large)
kept = me.memory_info().rss - before
give_back()
print(kept >> 20, (me.memory_info().rss - before) >> 20)
"""


def test_memory_that_is_free_between_blocks_in_use_goes_back() -> None:
    kept, left = map(int, subprocess.check_output([sys.executable, "-c", HOLES]).split())
    assert kept > 90
    assert left < 10


SPARED = """
import gc
import service.app
from service.system.heap import MAX_SURVIVORS, spare_what_is_loaded
spare_what_is_loaded()
at_start = gc.get_freeze_count(), len(gc.get_objects())
tables = [[] for _ in range(2 * MAX_SURVIVORS)]
gc.collect()
loaded = gc.get_freeze_count() - at_start[0]
class Node: pass
node = Node()
node.self = node
import weakref
gone = weakref.ref(node)
del node
gc.collect()
print(*at_start, loaded, gone() is None)
"""


def test_what_is_loaded_is_searched_for_cycles_no_more_and_what_is_new_is() -> None:
    told = subprocess.check_output([sys.executable, "-c", SPARED], text=True).split()
    frozen, searched, loaded = map(int, told[:3])
    assert frozen > 50_000
    assert searched < 1_000
    assert loaded >= 40_000
    assert told[3] == "True"


def test_the_server_gives_memory_back_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []
    monkeypatch.setattr("service.connections.server.give_back", lambda: given.append(True))
    server = Server(config_of(FastAPI(), Settings(device="cpu")), FastAPI(), 0.0)

    async def times_given(tick: int) -> int:
        given.clear()
        await server.on_tick(tick)
        await asyncio.get_running_loop().shutdown_default_executor()
        return len(given)

    ticks = (0, 599, 600, 601, 1200)
    assert [asyncio.run(times_given(tick)) for tick in ticks] == [0, 0, 1, 0, 1]


def test_while_modules_are_imported_no_cycles_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    of_a_command = import_module("service.commands.openapi")

    def importing(name: str) -> ModuleType:
        seen.append(gc.isenabled())
        return of_a_command

    monkeypatch.setattr("service.commands.deferred.import_module", importing)
    assert CliRunner().invoke(app, ["openapi", "--help"]).exit_code == 0
    assert seen == [False] and gc.isenabled()
    with pytest.raises(ImportError), unsearched():
        raise ImportError
    assert gc.isenabled()
