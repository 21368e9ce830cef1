"""Before the first request: every shape is run once, and what pays is measured on this machine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from service.errors import DeviceError, StartupError
from service.inference.device import Device
from service.inference.golden import check_golden, golden_tile
from service.inference.session import Session

WORTH = 0.8
"""Share of one thread's time that more threads must at most take: a little gain is no gain, since
they take the core of whoever decodes the next mammogram."""

TRIES = 3


def warm(session: Session, batch_sizes: Sequence[int], *, widest: bool = True) -> None:
    """Run every shape and batch size once: kernels are chosen, memory is laid out.

    The largest tile is run with the golden one, which must reproduce in every batch size. Where a
    breast may have any shape, the one of most pixels alone is worth a run beside it.

    Parameters
    ----------
    widest
        Run that one, too; sessions of a CPU share their memory, so one of them does it for all.

    Raises
    ------
    DeviceError
        It does not, or the device fails.
    """
    tiling = session.contract.tiling
    narrower = () if session.whole_pixels else tiling.shapes[:-1]
    with _device_to_blame(session.device):
        rows, columns = tiling.tile_shape
        if widest and session.whole_pixels > rows * columns:
            tallest = session.whole_pixels // columns
            session.run(np.zeros((1, 1, tallest, columns), np.float32))
        # The largest first: what is smaller finds room in the memory laid out for it.
        for batch in reversed(batch_sizes):
            check_golden(session, batch)
            for shape in reversed(narrower):
                session.run(np.zeros((batch, 1, *shape), np.float32))


def seconds_a_run(session: Session, batch: int) -> float:
    """Prove the golden tile in a batch size, and give the least time that its run takes, seconds.

    Raises
    ------
    DeviceError
        It does not reproduce, or the device fails.
    """
    with _device_to_blame(session.device):
        check_golden(session, batch)
        tiles = np.repeat(golden_tile(session.contract), batch, axis=0)
        return min(_seconds(session, tiles) for _ in range(TRIES))


def wide_pays(narrow: Session, wide: Session) -> bool:
    """Tell whether one tile comes back sooner with more threads; both sessions are warm.

    The smallest tile tells in a third of the largest one's time. On two cores with AVX2 two threads
    took .60 of one thread's time for either, and .57 to .75 for the shapes between.
    """
    tile = np.zeros((1, 1, *narrow.contract.tiling.shapes[0]), np.float32)
    took = {True: [0.0] * TRIES, False: [0.0] * TRIES}
    # In turns: what else the machine does then weighs on both.
    for index in range(TRIES):
        for is_wide, session in ((False, narrow), (True, wide)):
            took[is_wide][index] = _seconds(session, tile)
    return min(took[True]) <= WORTH * min(took[False])


@contextmanager
def _device_to_blame(device: Device) -> Iterator[None]:
    try:
        yield
    except StartupError:
        raise
    except Exception as error:
        raise DeviceError(f"{device} fails while it is warmed: {error}") from error


def _seconds(session: Session, tile: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    session.run(tile)
    return time.perf_counter() - started
