"""What the mask's loss is told of a lesion: outline, ellipse or box, and nothing near the rim."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.config import Targets
from model_export.datasets.cache import Packed

UNCERTAIN = 2
"""Value of pixels that are left out of the loss."""

SHIFT = 4
"""Binary digits after the point in which OpenCV is given the corners of shapes."""


def target_of(sample: Packed, spec: Targets, working_mm: float) -> NDArray[np.uint8]:
    """Return the target of an image whose lesions were drawn.

    Parameters
    ----------
    sample
        With a mask.
    spec
        Of the run; where a sample has no boxes, its outlines are taken.
    working_mm
        Millimetres a pixel.

    Returns
    -------
    uint8, the shape of its pixels: 0 no lesion, 1 lesion, `UNCERTAIN`.
    """
    if sample.lesion is None:
        raise ValueError("sample must have a mask")
    target = sample.lesion
    if spec.shape != "outline" and sample.boxes:
        target = _shapes(sample, ellipse=spec.shape == "ellipse")
    radius = spec.rim_mm / working_mm
    return _with_rim(target, radius) if radius > 0 and target.any() else target


def _shapes(sample: Packed, *, ellipse: bool) -> NDArray[np.uint8]:
    drawn = np.zeros(sample.pixels.shape, np.uint8)
    for box in sample.boxes:
        left, top = box.x, box.y
        right, bottom = box.x + box.width - 1, box.y + box.height - 1
        if ellipse:
            centre, half = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)
            axes = _fixed((half[0] / 2, half[1] / 2))
            cv2.ellipse(drawn, _fixed(centre), axes, 0, 0, 360, 1, cv2.FILLED, cv2.LINE_8, SHIFT)
        else:
            corners = _fixed((left, top)), _fixed((right, bottom))
            cv2.rectangle(drawn, *corners, 1, cv2.FILLED, cv2.LINE_8, SHIFT)
    return drawn


def _fixed(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * 2**SHIFT), round(point[1] * 2**SHIFT)


def _with_rim(target: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """Make uncertain what is nearer than `radius` pixels to the border, inside and outside.

    Of a lesion too thin for that, the inner half of its depth stays certain.
    """
    outside = cv2.distanceTransform(1 - target, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = cv2.distanceTransform(target, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    count, labels = cv2.connectedComponents(target, connectivity=8)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels.ravel(), inside.ravel())
    core = (target == 1) & (inside > np.minimum(radius, deepest[labels] / 2))
    rim = (outside <= radius) & ~core
    result: NDArray[np.uint8] = core.astype(np.uint8)
    result[rim] = UNCERTAIN
    return result
