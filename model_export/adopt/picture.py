"""The sample with its mask, as a picture: the quickest proof is a look."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.findings import Findings

HEIGHT = 900
"""Pixels of the picture."""

GREEN = (81, 255, 79)


def draw(findings: Findings, path: Path) -> None:
    """Write the view, and beside it the view with mask and heat of the lesion map."""
    rows, columns = findings.mammogram.pixels.shape
    size = (max(1, round(columns * HEIGHT / rows)), HEIGHT)
    grey = cv2.resize(findings.mammogram.pixels, size, interpolation=cv2.INTER_AREA)
    plain = cv2.cvtColor((grey // 257).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    shown = _heated(plain, findings)
    mask = cv2.resize(findings.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(shown, contours, -1, GREEN, 2)
    cv2.imwrite(str(path), np.hstack([plain, shown]))


def _heated(plain: NDArray[np.uint8], findings: Findings) -> NDArray[np.uint8]:
    box = findings.lesion_map.box
    scale = plain.shape[0] / findings.mammogram.rows
    top, left = round(box.top * scale), round(box.left * scale)
    bottom = min(plain.shape[0], round(box.bottom * scale))
    right = min(plain.shape[1], round(box.right * scale))
    heat = cv2.resize(findings.lesion_map.probability, (right - left, bottom - top))
    shown = plain.astype(np.float32)
    part = shown[top:bottom, left:right]
    weight = 0.6 * heat[..., np.newaxis]
    part[:] = part * (1 - weight) + weight * np.array((0.0, 0.0, 255.0), np.float32)
    return shown.astype(np.uint8)
