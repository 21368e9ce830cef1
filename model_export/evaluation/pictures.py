"""One image with truth, answer and heat, small enough for a report."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.baselines import breast_mask
from service.findings import Findings
from service.imaging.breast import Box, find_breast
from service.imaging.stitch import LesionMap

HEIGHT = 440
"""Of a panel, in pixels; a panel is never wider than this either."""

GAP = 6
"""Pixels between the two panels."""

QUALITY = 88

TRUTH = (255, 220, 60)
ANSWER = (40, 150, 255)
CANDIDATE = (140, 190, 230)
"""BGR: cyan for what was drawn, orange for the mask, pale for a mere candidate; told apart by
colour-blind eyes too."""

HEAT_OPACITY = 0.55

HEAT_FROM = 0.05
"""Probability below which nothing is coloured."""


def side_by_side(findings: Findings, lesion: NDArray[np.bool_] | None) -> bytes:
    """Draw the breast twice: with outlines of truth and answer, and under the heat.

    Parameters
    ----------
    findings
        Ungated.
    lesion
        bool, shape (rows, columns) of the source; None where nobody drew.

    Returns
    -------
    A JPEG file, at most `HEIGHT` high and twice as wide.
    """
    area, plain = _plain(findings, lesion, HEIGHT)
    shape = (plain.shape[0], plain.shape[1])
    left, right = plain.copy(), _heated(plain, findings, area)
    _contours(left, findings, lesion, area)
    if lesion is not None:
        _outline(right, lesion, area, shape, 1)
    gap = np.full((shape[0], GAP, 3), 255, np.uint8)
    _, encoded = cv2.imencode(
        ".jpg", np.hstack([left, gap, right]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return bytes(encoded)


def contours(findings: Findings, lesion: NDArray[np.bool_] | None, side: int) -> NDArray[np.uint8]:
    """Return the breast, with the outlines of truth, mask and candidates.

    Returns
    -------
    uint8, BGR, its longer side `side` pixels.
    """
    area, drawn = _plain(findings, lesion, side)
    _contours(drawn, findings, lesion, area)
    return drawn


def _plain(
    findings: Findings, lesion: NDArray[np.bool_] | None, side: int
) -> tuple[Box, NDArray[np.uint8]]:
    area = _area(findings, lesion)
    scale = side / max(area.rows, area.columns)
    shape = (max(1, round(area.rows * scale)), max(1, round(area.columns * scale)))
    return area, _grey(findings.mammogram.pixels, area, shape)


def _contours(
    target: NDArray[np.uint8], findings: Findings, lesion: NDArray[np.bool_] | None, area: Box
) -> None:
    shape = (target.shape[0], target.shape[1])
    for region in reversed(findings.regions):
        colour = ANSWER if region.selected else CANDIDATE
        points = _scaled(np.array(region.contour, np.float64), area, shape)
        cv2.polylines(target, [points], True, colour, 2 if region.selected else 1, cv2.LINE_AA)
    if lesion is not None:
        _outline(target, lesion, area, shape, 2)


def _area(findings: Findings, lesion: NDArray[np.bool_] | None) -> Box:
    """Return the breast's box, grown to hold what was drawn beyond it."""
    box = findings.lesion_map.box
    if lesion is None or not lesion.any():
        return box
    rows, columns = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
    return Box(
        min(box.top, int(rows[0])),
        min(box.left, int(columns[0])),
        max(box.bottom, int(rows[-1]) + 1),
        max(box.right, int(columns[-1]) + 1),
    )


def _grey(pixels: NDArray[np.uint16], area: Box, shape: tuple[int, int]) -> NDArray[np.uint8]:
    crop = pixels[area.top : area.bottom, area.left : area.right]
    shrinks = shape[0] < area.rows
    small = cv2.resize(
        crop, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    ).astype(np.float32)
    low, high = _window(pixels)
    grey = np.clip((small - low) / max(high - low, 1.0), 0.0, 1.0) * 255.0
    coloured: NDArray[np.uint8] = cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2BGR)
    return coloured


def _window(pixels: NDArray[np.uint16]) -> tuple[float, float]:
    """Return the breast's own range: labels, film edges and air would darken or bleach it."""
    mask = breast_mask(find_breast(pixels), (pixels.shape[0], pixels.shape[1]))
    low, high = np.percentile(pixels[mask], (0.5, 99.8))
    return float(low), float(high)


def _heated(plain: NDArray[np.uint8], findings: Findings, area: Box) -> NDArray[np.uint8]:
    shape = (plain.shape[0], plain.shape[1])
    probability = _probability(findings.lesion_map, area, shape)
    level = np.round(probability * 255.0).astype(np.uint8)
    colour = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO).astype(np.float32)
    opacity = HEAT_OPACITY * np.clip(probability / 0.3, 0.0, 1.0) * (probability >= HEAT_FROM)
    mixed: NDArray[np.uint8] = (
        plain * (1.0 - opacity[..., None]) + colour * opacity[..., None]
    ).astype(np.uint8)
    return mixed


def _probability(lesion_map: LesionMap, area: Box, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sample the map over `area`, 0 beyond its box."""
    sampled = lesion_map.sample(area, shape)
    box = lesion_map.box
    rows = area.top + (np.arange(shape[0]) + 0.5) * area.rows / shape[0]
    columns = area.left + (np.arange(shape[1]) + 0.5) * area.columns / shape[1]
    inside = np.outer(
        (rows >= box.top) & (rows < box.bottom), (columns >= box.left) & (columns < box.right)
    )
    framed: NDArray[np.float32] = np.where(inside, sampled, np.float32(0.0))
    return framed


def _outline(
    target: NDArray[np.uint8],
    lesion: NDArray[np.bool_],
    area: Box,
    shape: tuple[int, int],
    thickness: int,
) -> None:
    outlines, _ = cv2.findContours(
        lesion.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    for points in outlines:
        scaled = _scaled(points.reshape(-1, 2).astype(np.float64), area, shape)
        cv2.polylines(target, [scaled], True, TRUTH, thickness, cv2.LINE_AA)


def _scaled(points: NDArray[np.float64], area: Box, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Bring (x, y) of source pixels to those of the panel."""
    scale = np.array([shape[1] / area.columns, shape[0] / area.rows])
    origin = np.array([area.left, area.top])
    scaled: NDArray[np.int32] = np.round((points - origin + 0.5) * scale - 0.5).astype(np.int32)
    return scaled
