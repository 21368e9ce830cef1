"""The golden tile: proof that this device computes the net that was exported."""

import base64
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import ContractError, DeviceError, NetFailed
from service.inference.contract import Contract, sigmoid
from service.inference.session import Session, TileOutputs


def golden_tile(contract: Contract) -> NDArray[np.float32]:
    """Return the contract's golden tile as the net takes it: float32, (1, 1, rows, columns).

    Raises
    ------
    ContractError
        The stored picture is no 8-bit grey PNG of the tile's size.
    """
    shape = contract.tiling.tile_shape
    encoded = np.frombuffer(base64.b64decode(contract.golden.tile_png), np.uint8)
    grey = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if grey is None or grey.shape != shape or grey.dtype != np.uint8:
        raise ContractError("golden.tile_png is not an 8-bit grey PNG of tiling.tile_size")
    low, high = contract.input.minimum, contract.input.maximum
    levels: NDArray[np.float32] = grey[np.newaxis, np.newaxis].astype(np.float32)
    return np.float32(low) + levels * np.float32((high - low) / 255.0)


def eighth(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average float32, shape (rows, columns), over blocks: (rows // 8, columns // 8)."""
    rows, columns = (side // 8 for side in probability.shape)
    blocks = probability[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def golden_deviation(contract: Contract, outputs: TileOutputs) -> float:
    """Return the largest absolute difference from the expected probabilities, map and score.

    Parameters
    ----------
    contract
        Whose golden tile was run.
    outputs
        Of one golden tile or more.
    """
    expected = contract.golden.expected_probability(contract.tiling.tile_shape)
    score = sigmoid(contract.golden.has_mask_logit)
    # np.maximum keeps NaN, which Python's max may drop.
    deviation = np.float64(0)
    for probability, logit in zip(outputs.probability, outputs.has_mask, strict=True):
        of_map = np.abs(eighth(probability) - expected).max()
        deviation = np.maximum(deviation, np.maximum(of_map, abs(sigmoid(logit) - score)))
    return float(deviation)


def check_golden(session: Session, batch: int = 1) -> float:
    """Run the golden tile on the session's device and give the deviation.

    Parameters
    ----------
    session
        An open one.
    batch
        How many of the tile are run at once; each must come out right.

    Raises
    ------
    DeviceError
        The answer is not the expected one within the contract's tolerance.
    """
    contract = session.contract
    tiles = np.repeat(golden_tile(contract), batch, axis=0)
    try:
        deviation = golden_deviation(contract, session.run(tiles))
    except NetFailed:
        # What is no probability is nowhere near the expected ones.
        deviation = math.nan
    if not deviation <= contract.golden.tolerance:
        raise DeviceError(
            f"the golden tile does not reproduce on {session.device}: "
            f"deviation {deviation:.2g}, tolerance {contract.golden.tolerance:.2g}"
        )
    return deviation


def still_works(session: Session) -> bool:
    """Tell whether the golden tile reproduces, after a run that failed."""
    try:
        check_golden(session)
    except Exception:
        return False
    return True
