"""Is the file the net? Through the service's own session, so that what is proven is served."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from model_export.export.golden import as_input
from model_export.export.half_stored import is_stored_in_half
from model_export.networks import SegmentationNet
from model_export.phantom import breast_phantom
from service.inference.contract import Contract, sigmoid
from service.inference.golden import check_golden
from service.inference.session import Session, TileOutputs

PARITY = 1e-4
"""Largest difference allowed between torch and ONNX Runtime, in probability, both in float32."""

ROUNDED = 1e-2
"""The same where weights are stored in half precision."""

MAX_FILE_BYTES = 12 * 2**20
"""Bytes."""


SHIFT = "has_mask_shift"
"""In the contract's evaluation: how far `calibrate` moved the has-mask logit."""


class ParityError(Exception):
    """The exported file does not compute what the net computes."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences of probabilities."""

    probability: float
    score: float
    golden: float


def verify(path: Path, net: SegmentationNet) -> Parity:
    """Compare a file with the net it was exported from, on phantoms and noise.

    Parameters
    ----------
    path
        The ONNX file.
    net
        In evaluation mode, not folded.

    Raises
    ------
    ParityError
        Probabilities differ by more than `PARITY`, or `ROUNDED`, or the file is too large.
    ContractError, DeviceError
        The service would refuse the file.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ParityError(f"{path.name} holds {path.stat().st_size} bytes, over {MAX_FILE_BYTES}")
    session = Session.open(path)
    golden = check_golden(session)
    shift = has_mask_shift(session.contract)
    probability = score = 0.0
    for tile in probes(session.contract):
        outputs = session.run(tile)
        with torch.no_grad():
            maps = net(torch.from_numpy(tile))
        of_map = torch.sigmoid(maps.logits)[:, 0].numpy()
        of_score = torch.sigmoid(maps.has_mask + shift)[:, 0].numpy()
        served = 1.0 / (1.0 + np.exp(-outputs.has_mask.astype(np.float64)))
        probability = max(probability, float(np.abs(of_map - outputs.probability).max()))
        score = max(score, float(np.abs(of_score - served).max()))
    allowed = ROUNDED if is_stored_in_half(onnx.load(path)) else PARITY
    # Written so that NaN fails too.
    if not max(probability, score) <= allowed:
        raise ParityError(
            f"torch and ONNX Runtime differ by {probability:.2g} (map) and {score:.2g} (score), "
            f"more than {allowed:g}"
        )
    return Parity(probability, score, golden)


def difference(session: Session, wanted: Callable[[NDArray[np.float32]], TileOutputs]) -> float:
    """Return how far a session is from what it ought to answer to the probes.

    Parameters
    ----------
    session
        An open one.
    wanted
        What it ought to answer.

    Returns
    -------
    Largest absolute difference in probability, of the map and of the score; NaN where one is.
    """
    largest = np.float64(0)
    for tile in probes(session.contract):
        served, right = session.run(tile), wanted(tile)
        of_map = np.abs(served.probability - right.probability).max()
        pairs = zip(served.has_mask, right.has_mask, strict=True)
        of_score = np.abs([sigmoid(a) - sigmoid(b) for a, b in pairs]).max()
        largest = np.maximum(largest, np.maximum(of_map, of_score))
    return float(largest)


def has_mask_shift(contract: Contract) -> float:
    """Return how far the has-mask logit was moved; 0 before any calibration."""
    return float(contract.provenance.evaluation.get(SHIFT, 0.0))


def probes(contract: Contract) -> list[NDArray[np.float32]]:
    """Return what the files are compared on.

    A lone phantom, its left in the smallest shape, two in a shape that is no tile's where the graph
    takes such, and a batch of phantom, noise, air.
    """
    spec, tiling = contract.input, contract.tiling
    size, (rows, columns) = tiling.tile_size, tiling.shapes[0]
    noise = np.random.default_rng(0).uniform(spec.minimum, spec.maximum, (1, 1, size, size))
    air = np.full((1, 1, size, size), spec.minimum, np.float32)
    other = as_input(breast_phantom(size, seed=11), spec)
    lone = as_input(breast_phantom(size), spec)
    free = np.concatenate([lone, other], axis=2)[..., : size + 32, : size // 64 * 32].copy()
    return [
        lone,
        np.ascontiguousarray(lone[..., :rows, :columns]),
        *([free] if tiling.whole else []),
        np.concatenate([other, noise.astype(np.float32), air]),
    ]
