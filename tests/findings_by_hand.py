"""Findings made without a net: a phantom with blobs of probability."""

from typing import Any

import cv2
import numpy as np

from service.findings import Findings, HasMask, ModelIdentity, regions_and_mask
from service.imaging.breast import Box
from service.imaging.mammogram import Mammogram
from service.imaging.stitch import LesionMap
from service.inference.contract import OperatingPoint

MODEL = ModelIdentity("mammoseg-test", "1.2.3", "0123456789abcdef" * 4)
POINT = OperatingPoint(
    has_mask=0.5, chosen_by="by hand", mask=0.5, candidate=0.3, minimum_region_mm2=0.0
)
SHAPE = (120, 80)

Blob = tuple[float, float, float, float]
"""Row, column and radius as fractions of the height, and the probability."""

TWO: tuple[Blob, ...] = ((0.3, 0.25, 0.09, 0.93), (0.7, 0.35, 0.06, 0.75))


def findings_by_hand(
    shape: tuple[int, int] = SHAPE,
    *,
    blobs: tuple[Blob, ...] = TWO,
    score: float = 0.93,
    gate: bool = True,
    model: ModelIdentity = MODEL,
    **mammogram: Any,
) -> Findings:
    """Make findings on an image of `shape`; a score under 0.5 gates them.

    The lesion map has half the resolution and leaves a margin, as a breast's box does.
    """
    rows, columns = shape
    box = Box(rows // 20, 0, rows - rows // 20, columns - columns // 10)
    probability = np.zeros((box.rows // 2, box.columns // 2), np.float32)
    for row, column, radius, level in blobs:
        centre = (round(column * rows / 2), round((row * rows - box.top) / 2))
        cv2.circle(probability, centre, max(1, round(radius * rows / 2)), level, cv2.FILLED)
    lesion_map = LesionMap(probability, box, shape)
    regions, mask = regions_and_mask(lesion_map, POINT, (0.1, 0.1))
    has_mask = HasMask(score, POINT.has_mask)
    gated = gate and not has_mask.decision
    y, x = np.ogrid[0:rows, 0:columns]
    down, right = (2 * y / rows - 1).astype(np.float32), (x / columns).astype(np.float32)
    glow = np.clip(1.0 - np.hypot(down, right), 0.0, 1.0)
    fields: dict[str, Any] = {
        "pixel_spacing_mm": (0.1, 0.1),
        "intent": "presentation",
        "laterality": "L",
        "view_position": "MLO",
    }
    return Findings(
        model=model,
        mammogram=Mammogram((glow * 65535).astype(np.uint16), **(fields | mammogram)),
        has_mask=has_mask,
        lesion_map=lesion_map,
        regions=tuple(regions),
        mask=np.zeros_like(mask) if gated else mask,
        gated=gated,
        breast_pixels=float(mask.size),
        caveats=(),
        timing_ms={},
    )
