from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.findings import Findings
from service.outputs.png import OUTLINE_CANDIDATE, OUTLINE_SELECTED, heatmap_png, overlay_png
from tests.findings_by_hand import findings_by_hand

pytestmark = pytest.mark.unit

RENDERS = (overlay_png, heatmap_png)
SHAPE = (300, 200)


def decoded(png: bytes) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return pixels


@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize(
    ("shape_of_pixels", "side", "expected"),
    [
        ({"pixel_spacing_mm": (0.2, 0.1)}, 600, (600, 200)),
        ({"pixel_spacing_mm": (0.2, 0.1)}, 300, (300, 100)),
        ({"pixel_spacing_mm": (0.1, 0.2)}, 1000, (150, 200)),
        ({"pixel_spacing_mm": None, "pixel_aspect": 2.0}, 1000, (600, 200)),
        ({"pixel_spacing_mm": (0.1, 0.1), "pixel_aspect": 2.0}, 1000, SHAPE),
    ],
)
def test_a_picture_has_square_pixels(
    render: Callable[[Findings, int], bytes],
    shape_of_pixels: dict[str, Any],
    side: int,
    expected: tuple[int, int],
) -> None:
    assert decoded(render(findings_by_hand(SHAPE, **shape_of_pixels), side)).shape[:2] == expected


def test_outlines_lie_on_the_mask_where_pixels_are_not_square() -> None:
    findings = findings_by_hand(SHAPE, pixel_spacing_mm=(0.2, 0.1))
    drawn = decoded(overlay_png(findings, 600))
    green = np.argwhere((drawn == OUTLINE_SELECTED).all(axis=2))
    rows, columns = np.nonzero(findings.mask)
    top, left = green.min(axis=0)
    bottom, right = green.max(axis=0)
    assert abs(top - 2 * rows.min()) <= 3 and abs(bottom - 2 * rows.max()) <= 3
    assert abs(left - columns.min()) <= 3 and abs(right - columns.max()) <= 3


OBSERVERS: dict[str, list[list[float]]] = {
    "normal": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Linear RGB as it is seen by those who lack one kind of cone (Machado et al. 2009, severity 1)."""


@pytest.mark.parametrize("observer", OBSERVERS)
def test_mask_and_candidate_are_of_two_colours_to_every_eye(observer: str) -> None:
    rgb = np.array([OUTLINE_SELECTED[::-1], OUTLINE_CANDIDATE[::-1]]) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(OBSERVERS[observer]).T).clip(0.0, 1.0)
    back = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(back.astype(np.float32)[None], cv2.COLOR_RGB2Lab)[0]
    # In CIELAB's plane of hues, where green and amber lie 20 apart to deutan eyes.
    assert np.hypot(*(lab[0, 1:] - lab[1, 1:])) > 80


@pytest.mark.parametrize(("score", "colour"), [(0.93, OUTLINE_SELECTED), (0.1, OUTLINE_CANDIDATE)])
def test_a_line_is_seen_on_the_lightest_tissue_too(
    score: float, colour: tuple[int, int, int]
) -> None:
    white = np.full(SHAPE, 65535, np.uint16)
    drawn = decoded(overlay_png(replace(findings_by_hand(SHAPE, score=score), picture=white), 300))
    line = np.abs(drawn.astype(int) - colour).max(axis=2) < 30
    dark = (drawn.max(axis=2) < 110).astype(np.uint8)
    near = cv2.dilate(dark, np.ones((5, 5), np.uint8)) > 0
    assert line.any() and near[line].all()
