"""Source pixels -> the range the net was trained on. Training calls this very function."""

from typing import Literal, Self

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
