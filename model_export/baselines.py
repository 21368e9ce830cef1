"""What needs no net: a share of the brightest, blobs, and a linear model on brightness.

They stand beside the net in every report; a net that does not beat them has learned nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from model_export.metrics import Mark, brightest
from service.imaging.breast import Breast
from service.imaging.resample import WorkingImage

BRIGHTEST_SHARE = 0.15
"""Of the breast: the baseline's mask."""

BLOB_GRID_MM = 1.0
BLOB_SIGMAS_MM = (2.0, 2.8, 4.0, 5.6, 8.0, 11.3)
BLOB_RATIO = 1.6
"""Of the two Gaussians: closest to the Laplacian (Marr and Hildreth, 1980)."""

MIN_BLOB_RESPONSE = 0.02
"""Of the net's input range: fainter ones are noise."""

BLOBS = 10
"""Blobs of an image at most; the curve of this baseline ends there."""


def breast_mask(breast: Breast, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Lay the breast region on a source grid: bool, `shape` (rows, columns)."""
    box = breast.box
    mask = np.zeros(shape, np.bool_)
    mask[box.top : box.bottom, box.left : box.right] = breast.on_grid(
        shape, (box.rows, box.columns)
    )
    return mask


def brightest_mask(pixels: NDArray[np.uint16], breast: Breast) -> NDArray[np.bool_]:
    """Return the brightest 15 % of the breast, bool, the shape of `pixels`."""
    inside = breast_mask(breast, (pixels.shape[0], pixels.shape[1]))
    return brightest(pixels, inside, BRIGHTEST_SHARE)


@dataclass(frozen=True, slots=True)
class Probe:
    """A logistic regression on `model_export.audit.brightness`, which knows nothing of lesions."""

    pipeline: Pipeline

    @classmethod
    def fit(cls, features: Sequence[tuple[float, ...]], labels: Sequence[bool]) -> "Probe | None":
        """Fit on standardised features; None unless both classes are there."""
        if len(set(labels)) < 2:
            return None
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        pipeline.fit(np.array(features), np.array(labels))
        return cls(pipeline)

    def score(self, features: tuple[float, ...]) -> float:
        """Return the probability of a positive."""
        return float(self.pipeline.predict_proba(np.array([features]))[0, 1])


def blobs(image: WorkingImage, working_mm: float) -> list[Mark]:
    """Find round bright spots: maxima over place and size of a difference of Gaussians.

    Lindeberg, "Feature detection with automatic scale selection", 1998; both Gaussians average
    over the breast alone, so that its edge is no blob.

    Parameters
    ----------
    image
        The breast's box, normalised.
    working_mm
        Its pixel spacing.

    Returns
    -------
    Discs in source pixels, the strongest first, at most `BLOBS`.
    """
    rows, columns = (max(3, round(side * working_mm / BLOB_GRID_MM)) for side in image.pixels.shape)
    size = (columns, rows)
    breast = cv2.resize(image.breast.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pixels = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
    responses = np.stack([_response(pixels, breast, sigma) for sigma in BLOB_SIGMAS_MM])
    peaks = np.argwhere((responses >= MIN_BLOB_RESPONSE) & (responses >= _neighbourhood(responses)))
    strongest = sorted(peaks.tolist(), key=lambda peak: -float(responses[tuple(peak)]))
    kept: list[tuple[int, int, float]] = []
    marks = []
    for scale, row, column in strongest:
        radius = BLOB_SIGMAS_MM[scale] * float(np.sqrt(2)) / BLOB_GRID_MM
        if all(np.hypot(row - r, column - c) > max(radius, reach) for r, c, reach in kept):
            kept.append((row, column, radius))
            score = float(responses[scale, row, column])
            marks.append(_disc(image, (rows, columns), (row, column), radius, score))
        if len(marks) == BLOBS:
            break
    return marks


def _response(
    pixels: NDArray[np.float32], breast: NDArray[np.float32], sigma_mm: float
) -> NDArray[np.float32]:
    sigma = sigma_mm / BLOB_GRID_MM

    def smooth(width: float) -> NDArray[np.float32]:
        weight = cv2.GaussianBlur(breast, (0, 0), width)
        mean: NDArray[np.float32] = cv2.GaussianBlur(pixels * breast, (0, 0), width) / np.maximum(
            weight, 1e-3
        )
        return mean

    difference: NDArray[np.float32] = (smooth(sigma) - smooth(sigma * BLOB_RATIO)) * (breast > 0.5)
    return difference


def _neighbourhood(responses: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest response among the 26 neighbours and the point itself."""
    around = np.stack([cv2.dilate(one, np.ones((3, 3), np.uint8)) for one in responses])
    padded = np.pad(around, ((1, 1), (0, 0), (0, 0)), constant_values=-np.inf)
    largest: NDArray[np.float32] = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return largest


def _disc(
    image: WorkingImage,
    grid: tuple[int, int],
    centre: tuple[int, int],
    radius: float,
    score: float,
) -> Mark:
    """Draw a disc of the blob grid on the source, clipped to its frame."""
    box = image.box
    steps = (box.rows / grid[0], box.columns / grid[1])
    middle = (
        box.top + (centre[0] + 0.5) * steps[0] - 0.5,
        box.left + (centre[1] + 0.5) * steps[1] - 0.5,
    )
    spans = [
        np.arange(
            max(0, int(np.ceil(at - radius * step))),
            min(side, int(np.floor(at + radius * step)) + 1),
        )
        for at, step, side in zip(middle, steps, image.source_shape, strict=True)
    ]
    down, across = (
        (span - at) / (radius * step) for span, at, step in zip(spans, middle, steps, strict=True)
    )
    return Mark(score, int(spans[0][0]), int(spans[1][0]), np.hypot(down[:, None], across) <= 1.0)
