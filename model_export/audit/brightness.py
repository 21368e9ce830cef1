"""The numbers that a label must not follow from: how bright, how full, how framed a picture is."""

import numpy as np
from numpy.typing import NDArray

BRIGHTNESS = ("mean", "max", "min", "contrast", "size", "border")

FILLED_FROM = 0.1
"""Share of the range above the darkest pixel from which a pixel counts as filled."""

BORDER = 0.03
"""Width of the border, as a share of the shorter side."""


def brightness(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return a picture's brightness in six numbers, in the order of `BRIGHTNESS`.

    Contrast is the standard deviation, size the share of the picture that is filled, border the
    mean along the edges.

    Parameters
    ----------
    pixels
        Shape (rows, columns), in any unit.

    Returns
    -------
    float64, shape (6,).
    """
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    filled = values > low + FILLED_FROM * (high - low)
    width = max(1, round(BORDER * min(values.shape)))
    inner = values[width:-width, width:-width]
    rim = (values.sum() - inner.sum()) / max(1, values.size - inner.size)
    return np.array([values.mean(), high, low, values.std(), filled.mean(), rim])
