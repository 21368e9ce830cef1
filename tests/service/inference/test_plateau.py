"""What runs take in memory comes to a plateau in the warm-up: laid out once, it stays."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from service.cancellation import CancelToken
from service.imaging.tiles import Tile
from service.inference.autotune import open_fastest
from service.inference.device import Gpu, nvidia_device_visible
from service.inference.pinned import driver
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from tests.identity_net import levels_contract, write_identity_net

ROUNDS, MAX_MIB = 40, 8.0
"""Rounds over all shapes, and what they may add to the memory; one tile's maps take 1.6 MiB."""


def resident_mib() -> float:
    return psutil.Process().memory_info().rss / 2**20


def on_device_mib() -> float:
    """Return what is taken of the first device's memory, by whomever."""
    cuda = driver()
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    for answer in (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        cuda.cuCtxSetCurrent(context),
        cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)),
        cuda.cuDevicePrimaryCtxRelease_v2(device),
    ):
        assert answer == 0
    return float(total.value - free.value) / 2**20


def grown(session: Session, taken: Callable[[], float]) -> float:
    """Run every shape in crowds of every size, and give by how many MiB the memory grew."""
    scheduler = TileScheduler(session)
    shapes = session.contract.tiling.shapes

    def round_of(number: int) -> None:
        for shape in shapes:
            tile = Tile(0, 0, np.zeros(shape, np.float32))
            scheduler.run([tile] * (1 + number % 3), CancelToken())

    for number in range(4):
        round_of(number)
    before = taken()
    for number in range(ROUNDS):
        round_of(number)
    after = taken()
    scheduler.close()
    return after - before


@pytest.mark.integration
def test_on_a_cpu(tmp_path: Path) -> None:
    path = write_identity_net(tmp_path / "net.onnx", levels_contract())
    assert grown(Session.open(path), resident_mib) <= MAX_MIB


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    if not nvidia_device_visible():
        pytest.skip("needs an NVIDIA device")
    assert grown(open_fastest(BUNDLED_MODEL, "cuda", Gpu()), on_device_mib) <= MAX_MIB
