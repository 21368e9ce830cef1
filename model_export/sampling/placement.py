"""Where a crop lies in its image."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.config import Augmentation, Sampling, Stream
from model_export.datasets.cache import Packed
from model_export.sampling.augmentation import View

Kind = Literal["lesion", "near_miss", "background"]

REACH: dict[Kind, tuple[float, float]] = {"lesion": (0.0, 0.35), "near_miss": (0.4, 0.7)}
"""How far from a pixel of the lesion the centre lies, in sides of the crop."""


class FalsePositive(NamedTuple):
    """Where a net saw a lesion that is none; row and column in pixels of the working grid."""

    source: str
    name: str
    row: int
    column: int
    score: float


def around(
    false_positive: FalsePositive, stream: Stream, spec: Augmentation, rng: np.random.Generator
) -> View:
    """Return a view that holds a false positive somewhere in its middle half."""
    scale = _scale(spec, rng)
    slack = min(stream.rows, stream.columns) / scale / 2
    centre = (false_positive.row + _slack(slack, rng), false_positive.column + _slack(slack, rng))
    return _turned(centre, scale, spec, rng)


def draw_kind(spec: Sampling, rng: np.random.Generator, *, positive: bool) -> Kind:
    """Choose what to centre on; `positive` leaves out the background."""
    value = rng.random() * (spec.lesion + spec.near_miss if positive else 1.0)
    if value < spec.lesion:
        return "lesion"
    return "near_miss" if value < spec.lesion + spec.near_miss else "background"


def whole(sample: Packed, stream: Stream, spec: Augmentation, rng: np.random.Generator) -> View:
    """Return a view that shows the whole image, wherever it has room."""
    height, width = sample.pixels.shape
    scale = min(_scale(spec, rng), 1.05 * stream.rows / height, 1.05 * stream.columns / width)
    centre = (
        height / 2 + _slack(stream.rows / scale - height, rng),
        width / 2 + _slack(stream.columns / scale - width, rng),
    )
    return _turned(centre, scale, spec, rng)


def crop(
    sample: Packed, kind: Kind, stream: Stream, spec: Augmentation, rng: np.random.Generator
) -> View:
    """Return a view centred on a pixel of the lesion, beside the lesion, or on one of the breast.

    An image without a drawn lesion has background only.
    """
    scale = _scale(spec, rng)
    if kind == "background" or sample.lesion is None or not sample.lesion.any():
        return _turned(_pixel_of(sample.breast, rng), scale, spec, rng)
    row, column = _pixel_of(sample.lesion, rng)
    side = min(stream.rows, stream.columns) / scale
    distance, angle = side * rng.uniform(*REACH[kind]), rng.uniform(0, 2 * np.pi)
    height, width = sample.pixels.shape
    centre = (
        float(np.clip(row + distance * np.sin(angle), 0, height - 1)),
        float(np.clip(column + distance * np.cos(angle), 0, width - 1)),
    )
    return _turned(centre, scale, spec, rng)


def _scale(spec: Augmentation, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(-spec.log_scale, spec.log_scale)))


def _turned(
    centre: tuple[float, float], scale: float, spec: Augmentation, rng: np.random.Generator
) -> View:
    flips = (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
    degrees = spec.rotation_degrees
    return View(centre, scale, float(rng.uniform(-degrees, degrees)), flips)


def _slack(free: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(-0.5, 0.5)) * max(0.0, free)


def _pixel_of(mask: NDArray[np.uint8], rng: np.random.Generator) -> tuple[float, float]:
    """Return a random pixel of a mask that is not empty."""
    where = np.flatnonzero(mask)
    row, column = divmod(int(where[rng.integers(where.size)]), mask.shape[1])
    return float(row), float(column)
