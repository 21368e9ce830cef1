"""Regions found from cells are those of the plain way, pixel by pixel."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.imaging.breast import Box
from service.imaging.enlarged import EnlargedMap
from service.imaging.regions import Region, find_regions, mask_of
from service.imaging.stitch import LesionMap
from service.imaging.thresholded import FEW_PIXELS
from service.models import BUNDLED_MODEL
from service.startup.models import open_model
from tests.service.imaging.plain_regions import interpolated, plain_regions, warped
from tests.thinned import thinned

SHAPE = (96, 70)
THRESHOLDS = ((0.5, 0.3), (0.5, 0.5), (0.9, 0.1), (0.35, 0.2))

ROUNDING = 1e-4
"""By how much OpenCV's coordinates, in single precision, move a value of these maps."""


def noise(rng: np.random.Generator, sigma: float = 0.0) -> NDArray[np.float32]:
    """Many pieces that touch at corners; of several pixels each where it is smoothed."""
    values = rng.random(SHAPE).astype(np.float32)
    if sigma:
        values = cv2.GaussianBlur(values, (0, 0), sigma)
    spread: NDArray[np.float32] = (values - values.min()) / (values.max() - values.min())
    return spread


def rings(rng: np.random.Generator) -> NDArray[np.float32]:
    """Rings in rings, cut off by the map's edge."""
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    far = np.hypot(row - rng.uniform(20, 70), column - rng.uniform(10, 60))
    return (0.5 + 0.5 * np.sin(far / 2.5)).astype(np.float32)


def plateaus(rng: np.random.Generator) -> NDArray[np.float32]:
    """Discs and holes whose values are the thresholds themselves."""
    values = np.zeros(SHAPE, np.float32)
    for level in rng.choice([0.0, 0.2, 0.3, 0.35, 0.5, 0.9, 1.0], 40):
        centre = (int(rng.integers(SHAPE[1])), int(rng.integers(SHAPE[0])))
        cv2.circle(values, centre, int(rng.integers(1, 14)), float(level), cv2.FILLED)
    return values


def large(rng: np.random.Generator) -> NDArray[np.float32]:
    """One candidate nearly as large as the map, with holes."""
    values = np.full(SHAPE, 0.6, np.float32)
    values[rng.random(SHAPE) < 0.01] = 0.0
    return values


def threads(rng: np.random.Generator) -> NDArray[np.float32]:
    """Lines one pixel wide."""
    values = np.zeros(SHAPE, np.float32)
    for _ in range(25):
        begin, end = ((int(rng.integers(SHAPE[1])), int(rng.integers(SHAPE[0]))) for _ in range(2))
        cv2.line(values, begin, end, 0.95)
    return values


KINDS: dict[str, Callable[[np.random.Generator], NDArray[np.float32]]] = {
    "noise": noise,
    "spots": lambda rng: noise(rng, 1.5),
    "blobs": lambda rng: noise(rng, 5.0),
    "rings": rings,
    "plateaus": plateaus,
    "large": large,
    "threads": threads,
}


def laid(values: NDArray[np.float32], rows: int, columns: int) -> LesionMap:
    """Lay a map over so many source pixels, a little off the image's corner."""
    return LesionMap(values, Box(6, 4, 6 + rows, 4 + columns), (rows + 11, columns + 9))


def in_order(regions: Sequence[Region]) -> list[Region]:
    return sorted(regions, key=lambda one: (one.box.top, one.box.left, one.contour))


def assert_same(found: Sequence[Region], expected: Sequence[Region]) -> None:
    assert len(found) == len(expected)
    assert list(found) == sorted(found, key=lambda one: -one.max_probability)
    for one, other in zip(in_order(found), in_order(expected), strict=True):
        for field in fields(Region):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            if field.name == "pixels":
                np.testing.assert_array_equal(mine, theirs)
            elif field.name == "mean_probability":
                assert mine == pytest.approx(theirs, abs=1e-6)
            elif field.name == "max_probability":
                assert mine == pytest.approx(theirs, abs=1e-7)
            else:
                assert mine == theirs, field.name


@pytest.mark.unit
@pytest.mark.parametrize("enlarged", [(0.4, 0.7), (1.0, 1.0), (2.5, 2.5), (6.15, 5.9), (3.1, 12.7)])
@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_those_of_the_plain_way(kind: str, enlarged: tuple[float, float]) -> None:
    rng = np.random.default_rng(11)
    values = KINDS[kind](rng)
    lesion_map = laid(values, *(round(n * by) for n, by in zip(SHAPE, enlarged, strict=True)))
    plain = interpolated(lesion_map)
    for (mask, candidate), minimum in zip(THRESHOLDS, (0.0, 1.0, 40.0, 900.0), strict=True):
        found = find_regions(
            lesion_map,
            mask_threshold=mask,
            candidate_threshold=candidate,
            minimum_pixels=minimum,
        )
        assert_same(
            found,
            plain_regions(
                plain, lesion_map.box, mask=mask, candidate=candidate, minimum_pixels=minimum
            ),
        )


@pytest.mark.unit
@pytest.mark.parametrize("kind", KINDS)
def test_masks_differ_from_opencv_s_sampling_only_where_a_value_all_but_is_the_threshold(
    kind: str,
) -> None:
    lesion_map = laid(KINDS[kind](np.random.default_rng(12)), 591, 413)
    by_opencv = warped(lesion_map)
    for mask, candidate in THRESHOLDS:
        found = find_regions(
            lesion_map, mask_threshold=mask, candidate_threshold=candidate, minimum_pixels=0.0
        )
        box = lesion_map.box
        drawn = mask_of(found, lesion_map.source_shape)[box.top : box.bottom, box.left : box.right]
        differs = drawn != (by_opencv >= mask)
        assert np.all(np.abs(by_opencv[differs] - mask) < ROUNDING)


@pytest.mark.unit
def test_a_full_size_candidate_is_interpolated_at_its_border_alone() -> None:
    rows, columns = 540, 400
    row, column = np.mgrid[:rows, :columns]
    far = np.hypot((row - rows / 2) / rows * 2, column / columns)
    lesion_map = laid(np.clip(1.2 - far, 0, 1).astype(np.float32), 3321, 2460)
    asked = []

    class Counted(EnlargedMap):
        def inside(self, cells):
            asked.append(len(cells[0]))
            return super().inside(cells)

        def strips(self, box):
            asked.append(box.rows * box.columns / FEW_PIXELS)
            return super().strips(box)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.imaging.regions.EnlargedMap", Counted)
        (region,) = find_regions(
            lesion_map, mask_threshold=0.5, candidate_threshold=0.3, minimum_pixels=100.0
        )
    assert region.area_pixels > 3_000_000
    assert sum(asked) < 0.02 * rows * columns


@pytest.mark.integration
@pytest.mark.parametrize("step", thinned([8, 4, 1], 3))
def test_regions_of_real_views_are_those_of_the_plain_way(
    cbis_files: list[Path], step: int
) -> None:
    differing = total = 0
    with open_model(BUNDLED_MODEL) as segmenter:
        for file in cbis_files[step // 2 :: step]:
            lesion_map = segmenter.segment(file.read_bytes()).lesion_map
            plain, by_opencv = interpolated(lesion_map), warped(lesion_map)
            for mask, candidate in ((0.5, 0.2), (0.25, 0.05), (0.1, 0.02)):
                found = find_regions(
                    lesion_map,
                    mask_threshold=mask,
                    candidate_threshold=candidate,
                    minimum_pixels=200.0,
                )
                assert_same(
                    found,
                    plain_regions(
                        plain, lesion_map.box, mask=mask, candidate=candidate, minimum_pixels=200.0
                    ),
                )
                differing += int(np.count_nonzero((plain >= mask) != (by_opencv >= mask)))
                total += int(np.count_nonzero(plain >= mask))
    assert total > 100_000
    assert differing <= 1e-5 * total
