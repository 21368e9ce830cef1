"""What a crop looks like to whoever cannot see a lesion: brightness, contrast, fullness."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.cache import Packed
from model_export.sampling.augmentation import View

COARSE = 4
"""Pixels a side of the blocks that an appearance is taken from."""

Appearance = NDArray[np.float64]
"""(APPEARANCE_FEATURES,): mean and standard deviation of the tile, share of breast, mean of the
rim, 99th percentile, maximum, mean and standard deviation within the breast; all in [0, 1]."""

APPEARANCE_FEATURES = 8

LEVELS = 256
"""That the percentile is told apart by."""


class Thumbnail:
    """A sample with a mask, shrunk by `COARSE`."""

    def __init__(self, sample: Packed) -> None:
        if sample.lesion is None:
            raise ValueError("sample must have a mask")
        self.sample = sample
        grey = sample.pixels.astype(np.float32) * sample.breast / np.float32(255.0)
        brightest = cv2.dilate(grey, np.ones((COARSE, COARSE), np.uint8))
        layers = np.dstack([grey, grey * grey, sample.breast.astype(np.float32), brightest])
        self._layers = _shrink(layers)
        self._lesion = _shrink(sample.lesion.astype(np.float32))

    def appearance(self, view: View, rows: int, columns: int) -> Appearance:
        """Return the appearance of a crop of `rows` x `columns` pixels."""
        return _appearance(self._cut(self._layers, view, rows, columns))

    def lesion_pixels(self, view: View, rows: int, columns: int) -> float:
        """Return about how many pixels of lesion a crop shows."""
        return float(self._cut(self._lesion, view, rows, columns).sum()) * COARSE**2

    def _cut(
        self, layers: NDArray[np.float32], view: View, rows: int, columns: int
    ) -> NDArray[np.float32]:
        row, column = ((centre + 0.5) / COARSE - 0.5 for centre in view.centre)
        coarse = View((row, column), view.scale, view.degrees, view.flips)
        height, width = rows // COARSE, columns // COARSE
        cut: NDArray[np.float32] = cv2.warpAffine(
            layers, coarse.matrix(height, width), (width, height)
        )
        return cut


def _shrink(layers: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = (max(1, side // COARSE) for side in layers.shape[:2])
    shrunk: NDArray[np.float32] = cv2.resize(layers, (columns, rows), interpolation=cv2.INTER_AREA)
    return shrunk


def _appearance(layers: NDArray[np.float32]) -> Appearance:
    mean, power, share, _ = cv2.mean(layers)
    deviation = max(power - mean**2, 0.0) ** 0.5
    rows, columns = layers.shape[:2]
    grey = layers[..., 0]
    edge = grey[0].sum() + grey[-1].sum() + grey[:, 0].sum() + grey[:, -1].sum()
    rim = float(edge) / (2 * (rows + columns))
    counts = cv2.calcHist([layers], [0], None, [LEVELS], [0.0, 1.0 + 1.0 / LEVELS])
    top = int(np.searchsorted(counts.cumsum(), 0.99 * rows * columns)) / LEVELS
    inside = max(share, 1e-3)
    own, own_power = mean / inside, power / inside
    own_deviation = max(own_power - own**2, 0.0) ** 0.5
    brightest = float(layers[..., 3].max())
    return np.array((mean, deviation, share, rim, top, brightest, own, own_deviation))
