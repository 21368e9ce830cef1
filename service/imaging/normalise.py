"""Source pixels -> the range the net was trained on. Training calls this very function."""

from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Normalisation(BaseModel):
    """Constants of the linear map; part of the model's contract.

    The `low_percentile` of the breast's own pixels becomes 0 and the `high_percentile` 1; the
    result is clipped to [0, maximum] and is 0 outside the breast. Percentiles of the breast, not
    of the frame, make the answer independent of window, bit depth, exposure and film border.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["breast_percentile"] = "breast_percentile"
    low_percentile: float = Field(default=2.0, ge=0.0, le=100.0)
    high_percentile: float = Field(default=99.0, ge=0.0, le=100.0)
    maximum: float = Field(default=1.25, ge=1.0, le=10.0)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        return self


class WholeImage(BaseModel):
    """What nets of other frameworks are fed: one map of all pixels, with nothing blanked.

    A statistic over the image is taken before it is cut into tiles: no graph that sees a tile
    could know it.

    Attributes
    ----------
    region
        What of the image the net is shown: the whole frame, or the box around what is not 0.
    kind
        `display`: display values over [0, 1], the same of every image. `min_max`: the smallest
        value becomes 0 and the largest 1. `z_score`: mean 0 and standard deviation 1.
    over
        The pixels that a statistic is of, and that are changed: all of the region, or those that
        are not 0, holes filled (nnU-Net's `use_mask_for_norm`).
    taken
        Of the image as it came (nnU-Net normalises before it resamples), or at the working spacing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["display", "min_max", "z_score"]
    region: Literal["frame", "nonzero"] = "frame"
    over: Literal["image", "nonzero"] = "image"
    taken: Literal["source", "working"] = "working"


FULL = 65535.0
"""The brightest display value."""

FLAT = 1e-8
"""Smallest standard deviation that is divided by, as nnU-Net has it."""


def normalise_whole(
    pixels: NDArray[np.uint16], source: NDArray[np.uint16], spec: WholeImage
) -> NDArray[np.float32]:
    """Bring all pixels of a region to the range that another framework's net was trained on.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns), at the working spacing.
    source
        uint16, the same region as it came.
    spec
        The map.

    Returns
    -------
    float32, shape of `pixels`.
    """
    values: NDArray[np.float32] = pixels.astype(np.float32)
    values *= np.float32(1.0 / FULL)
    if spec.kind == "display":
        return values
    sampled = source if spec.taken == "source" else pixels
    counted = filled_nonzero(sampled) if spec.over == "nonzero" else None
    if spec.kind == "min_max":
        inside = sampled if counted is None else sampled[counted > 0]
        low, high = (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)
        shift, scale = low / FULL, (high - low) / FULL or 1.0
    else:
        mean, deviation = cv2.meanStdDev(sampled, mask=counted)
        shift, scale = float(mean[0, 0]) / FULL, max(float(deviation[0, 0]) / FULL, FLAT)
    scaled: NDArray[np.float32] = (values - np.float32(shift)) / np.float32(scale)
    if spec.over == "nonzero":
        # Beyond the mask values stay as they are.
        scaled = np.where(filled_nonzero(pixels) > 0, scaled, values)
    return scaled


def filled_nonzero(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return where an image is not 0, holes filled: uint8, 1 or 0, same shape."""
    nonzero = (pixels != 0).astype(np.uint8)
    contours, _ = cv2.findContours(nonzero, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled: NDArray[np.uint8] = cv2.drawContours(nonzero, contours, -1, 1, cv2.FILLED)
    return filled


def normalise(
    pixels: NDArray[np.uint16], breast: NDArray[np.bool_], spec: Normalisation
) -> NDArray[np.float32]:
    """Bring pixels to the net's range.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns), larger is brighter.
    breast
        bool, same shape: the pixels whose percentiles count, and the only ones kept.
    spec
        The constants.

    Returns
    -------
    float32, same shape, in [0, spec.maximum]. All 0 where the breast is flat or empty.
    """
    inside = pixels[breast]
    if inside.size == 0:
        return np.zeros(pixels.shape, np.float32)
    low, high = np.percentile(inside, (spec.low_percentile, spec.high_percentile))
    if high <= low:
        return np.zeros(pixels.shape, np.float32)
    scaled = (pixels.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    np.clip(scaled, 0.0, spec.maximum, out=scaled)
    scaled[~breast] = 0.0
    return scaled
