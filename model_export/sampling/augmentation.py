"""Random changes that leave the answer as it is."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.config import Augmentation
from model_export.sampling.artefacts import add_film_artefact, add_patch

FLAT = 0.1
"""Smallest part of the stored range that the breast must fill: with less, an exposure makes no
mammogram any more."""


@dataclass(frozen=True, slots=True)
class View:
    """Where a crop lies in its working image.

    `centre` is (row, column) in pixels; `scale` output pixels per image pixel; `flips` of
    (rows, columns).
    """

    centre: tuple[float, float]
    scale: float = 1.0
    degrees: float = 0.0
    flips: tuple[bool, bool] = (False, False)

    def matrix(self, rows: int, columns: int) -> NDArray[np.float64]:
        """Return the affine map from image (x, y) to crop (x, y): float64, shape (2, 3)."""
        angle = np.deg2rad(self.degrees)
        turn = self.scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        turn *= np.array([[-1.0 if self.flips[1] else 1.0], [-1.0 if self.flips[0] else 1.0]])
        centre = np.array([self.centre[1], self.centre[0]])
        shift = np.array([columns / 2 - 0.5, rows / 2 - 0.5]) - turn @ centre
        return np.column_stack([turn, shift])


def warp(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], rows: int, columns: int, *, mask: bool
) -> NDArray[np.uint8]:
    """Cut a crop of `rows` x `columns`, uint8; masks by nearest pixel: they stay 0 and 1."""
    interpolation = cv2.INTER_NEAREST if mask else cv2.INTER_LINEAR
    crop: NDArray[np.uint8] = cv2.warpAffine(
        image, matrix, (columns, rows), flags=interpolation, borderMode=cv2.BORDER_CONSTANT
    )
    return crop


def intensities(
    crop: NDArray[np.uint8],
    breast: NDArray[np.uint8],
    maximum: float,
    spec: Augmentation,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Change the tone, draw artefacts, blur, add noise.

    Parameters
    ----------
    crop
        uint8, shape (rows, columns): value / 255 * maximum is the net's input.
    breast
        uint8 0 or 1, same shape.

    Returns
    -------
    float32 in [0, maximum], same shape, 0 outside the breast.
    """
    values = _tone(maximum, spec, rng)[crop]
    if rng.random() < spec.patch_probability:
        add_patch(values, maximum, rng)
    if rng.random() < spec.film_probability:
        add_film_artefact(values, maximum, rng)
    if rng.random() < spec.blur_probability:
        cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.2), dst=values)
    if spec.noise > 0 and rng.random() < 0.3:
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values += np.float32(rng.uniform(0, spec.noise)) * noise
    kept: NDArray[np.float32] = np.clip(values, 0.0, maximum) * breast
    return kept


def _tone(maximum: float, spec: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the table of 256 changed values."""
    grey = np.linspace(0.0, maximum, 256)
    if rng.random() < spec.exposure_probability:
        grey = exposed(grey, _exposure(spec, rng), maximum)
    gamma = np.exp(rng.uniform(-spec.log_gamma, spec.log_gamma))
    contrast = np.exp(rng.uniform(-spec.log_contrast, spec.log_contrast))
    shift = rng.uniform(-spec.brightness, spec.brightness)
    changed = (grey**gamma - 0.5) * contrast + 0.5 + shift
    table: NDArray[np.float32] = np.clip(changed, 0.0, maximum).astype(np.float32)
    return table


@dataclass(frozen=True, slots=True)
class Exposure:
    """A change of contrast before the image was stored.

    `low` and `high` are the stored values, 0 to 1, that normalisation makes 0 and 1; `contrast`
    multiplies the distance from `pivot`, and what leaves 0 to 1 is lost.
    """

    low: float
    high: float
    contrast: float
    pivot: float


def exposed(grey: NDArray[np.float64], exposure: Exposure, maximum: float) -> NDArray[np.float64]:
    """Return what the service's normalisation makes of normalised values after an exposure.

    A map that keeps the order moves percentiles along, so the new ones are what it makes of 0 and
    1: normalisation undoes a change of contrast, except where values were clipped. Flat images stay
    as they are.
    """
    low, high = exposure.low, exposure.high

    def stored(values: NDArray[np.float64]) -> NDArray[np.float64]:
        changed = exposure.pivot + exposure.contrast * (
            low + values * (high - low) - exposure.pivot
        )
        clipped: NDArray[np.float64] = np.clip(changed, 0.0, 1.0)
        return clipped

    darkest, brightest = stored(np.array([0.0, 1.0]))
    if brightest - darkest < FLAT:
        return grey
    again: NDArray[np.float64] = (stored(grey) - darkest) / (brightest - darkest)
    return np.clip(again, 0.0, maximum)


def _exposure(spec: Augmentation, rng: np.random.Generator) -> Exposure:
    """Draw one of an image that was stored with some room to both sides."""
    least, most = np.log(spec.exposure)
    return Exposure(
        low=float(rng.uniform(0.02, 0.35)),
        high=float(rng.uniform(0.6, 1.0)),
        contrast=float(np.exp(rng.uniform(least, most))),
        pivot=float(rng.uniform(0.0, 0.5)),
    )
