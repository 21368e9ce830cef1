"""A device that passes every proof at the start, and then fails for good."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.imaging.reader import ReadLimits
from service.inference.scheduler import TileScheduler
from service.inference.session import Session, TileOutputs
from service.reading.reader import InProcess
from service.segmenter import Segmenter

COMPLAINT = "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=x"


def _fail(tiles: NDArray[np.float32]) -> TileOutputs:
    raise RuntimeError(COMPLAINT)


def broken_segmenter(model: Path) -> Segmenter:
    """Open a model on the CPU, call that a GPU, warm it, and break it."""
    session = Session.open(model)
    session.device = "cuda"
    scheduler = TileScheduler(session)
    session.run = _fail  # type: ignore[method-assign]
    return Segmenter(scheduler, InProcess(ReadLimits()))
