"""Outlines in DICOM's coordinates."""

import cv2
import numpy as np
import pytest

from service.imaging.breast import Box
from service.imaging.regions import Region
from service.outputs.dicom.outline import (
    MAX_POINTS,
    area_mm2,
    centre,
    frame_outline,
    outline,
    shown_regions,
)
from tests.findings_by_hand import SHAPE, findings_by_hand

pytestmark = pytest.mark.unit


def region(pixels: np.ndarray, contour: list[tuple[int, int]]) -> Region:
    box = Box(10, 20, 10 + pixels.shape[0], 20 + pixels.shape[1])
    return Region(box, pixels, (21.0, 11.0), tuple(contour), 0.9, 0.8, True)


def test_it_is_closed_and_runs_through_the_centres_of_the_border_pixels() -> None:
    square = region(np.ones((3, 3), bool), [(20, 10), (20, 12), (22, 12), (22, 10)])
    np.testing.assert_array_equal(
        outline(square), [(20.5, 10.5), (20.5, 12.5), (22.5, 12.5), (22.5, 10.5), (20.5, 10.5)]
    )
    assert centre(square) == (21.5, 11.5)
    assert outline(square).dtype == np.float32


@pytest.mark.parametrize("contour", [[(20, 10)], [(20, 10), (22, 10)]])
def test_a_thin_region_is_outlined_by_its_box(contour: list[tuple[int, int]]) -> None:
    thin = region(np.ones((1, 3), bool), contour)
    np.testing.assert_array_equal(outline(thin), [(20, 10), (23, 10), (23, 11), (20, 11), (20, 10)])


def test_a_ragged_outline_is_simplified_until_it_fits() -> None:
    comb = [(x, 10 + 40 * (x % 2)) for x in range(20, 6020)]
    points = outline(region(np.ones((50, 6000), bool), comb))
    assert 4 <= len(points) <= MAX_POINTS
    np.testing.assert_array_equal(points[0], points[-1])
    assert points[:, 0].max() - points[:, 0].min() > 5900


def test_it_encloses_the_region() -> None:
    findings = findings_by_hand()
    for shown in shown_regions(findings):
        canvas = np.zeros(SHAPE, np.uint8)
        cv2.fillPoly(canvas, [np.round(outline(shown) - 0.5).astype(np.int32)], 1)
        alone = np.zeros(SHAPE, bool)
        box = shown.box
        alone[box.top : box.bottom, box.left : box.right] = shown.pixels
        assert (canvas.astype(bool) & alone).sum() / (canvas.astype(bool) | alone).sum() > 0.9


def test_the_frame_is_outlined_edge_to_edge() -> None:
    rows, columns = SHAPE
    np.testing.assert_array_equal(
        frame_outline(findings_by_hand()),
        [(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)],
    )


def test_only_what_makes_the_mask_is_shown() -> None:
    faint = (0.5, 0.4, 0.05, 0.4)
    findings = findings_by_hand(blobs=((0.2, 0.3, 0.05, 0.9), faint))
    assert len(findings.regions) == 2
    assert shown_regions(findings) == findings.regions[:1]
    assert shown_regions(findings_by_hand(score=0.1)) == ()
    assert len(shown_regions(findings_by_hand(score=0.1, gate=False))) == 2


def test_an_area_needs_a_spacing() -> None:
    square = region(np.ones((3, 4), bool), [(20, 10)])
    assert area_mm2(square, (0.1, 0.2)) == 0.24
    assert area_mm2(square, None) is None
