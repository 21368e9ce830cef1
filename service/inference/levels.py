"""Tiles as the net takes them: in its range, or as 16-bit levels of it.

Levels are half as much to send to a GPU. The last step of the normalisation, from levels to the
range, is then the graph's own first step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.inference.contract import InputSpec

HIGHEST = 65535


def quantize_into(tiles: NDArray[np.float32], out: NDArray[Any], spec: InputSpec) -> None:
    """Write tiles to where the net takes them from.

    Parameters
    ----------
    tiles
        float32, values within the range of `spec`.
    out
        Same shape: float32, or uint16 for the nearest levels.
    spec
        The contract's.
    """
    if out.dtype == np.float32:
        np.copyto(out, tiles)
        return
    levels = np.subtract(tiles, np.float32(spec.minimum))
    levels *= np.float32(HIGHEST / (spec.maximum - spec.minimum))
    levels += np.float32(0.5)
    # Beyond the range, a level would come out at its other end.
    np.clip(levels, 0, HIGHEST, out=levels)
    np.copyto(out, levels, casting="unsafe")
