from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.findings import Findings
from service.outputs.png import OUTLINE_SELECTED, heatmap_png, overlay_png
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
