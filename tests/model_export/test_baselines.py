import numpy as np
import pytest

from model_export.baselines import BLOBS, Probe, blobs, breast_mask, brightest_mask
from model_export.phantom import breast_phantom
from service.imaging.breast import Box, find_breast
from service.imaging.resample import WorkingImage

pytestmark = pytest.mark.unit


def working(pixels: np.ndarray, box: Box | None = None) -> WorkingImage:
    rows, columns = pixels.shape
    return WorkingImage(
        pixels=pixels.astype(np.float32),
        breast=np.ones(pixels.shape, np.bool_),
        box=box or Box(0, 0, rows, columns),
        source_shape=(rows, columns) if box is None else (400, 300),
    )


def spot(rows: int, columns: int, row: float, column: float, sigma: float) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("sigma_mm", [2.5, 5.0, 9.0])
def test_a_blob_is_found_where_and_as_large_as_it_is(sigma_mm: float) -> None:
    # 2 working pixels a millimetre.
    pixels = spot(200, 160, 90, 60, 2 * sigma_mm)
    first = blobs(working(pixels), working_mm=0.5)[0]
    rows, columns = first.pixels.shape
    assert first.top + rows / 2 == pytest.approx(90, abs=2.5)
    assert first.left + columns / 2 == pytest.approx(60, abs=2.5)
    # The scale of a Gaussian spot is its own; its disc reaches sqrt(2) of it.
    assert rows / 2 == pytest.approx(2 * sigma_mm * np.sqrt(2), rel=0.35)


def test_blobs_lie_in_the_source_s_own_pixels() -> None:
    # The box covers rows 100 to 300 and columns 50 to 250 of the source: twice the working grid.
    pixels = spot(100, 100, 40, 20, 5)
    first = blobs(working(pixels, Box(100, 50, 300, 250)), working_mm=1.0)[0]
    rows, columns = first.pixels.shape
    assert first.top + rows / 2 == pytest.approx(100 + 2 * 40.5, abs=2)
    assert first.left + columns / 2 == pytest.approx(50 + 2 * 20.5, abs=2)


def test_the_brighter_of_two_blobs_is_first_and_an_edge_is_none() -> None:
    pixels = 0.4 * spot(120, 120, 30, 30, 4) + 0.8 * spot(120, 120, 80, 90, 4)
    image = working(pixels + 0.5)
    image.breast[:, 110:] = False
    image.pixels[:, 110:] = 0.0
    found = blobs(image, working_mm=1.0)
    assert [round(mark.top + mark.pixels.shape[0] / 2, -1) for mark in found[:2]] == [80, 30]
    assert found[0].score > found[1].score
    # What else is found is a hundredth of that: the breast's own edge makes no blob.
    assert all(mark.score < 0.2 * found[0].score for mark in found[2:])


def test_a_disc_is_clipped_at_the_frame_and_noise_is_bounded() -> None:
    first = blobs(working(spot(80, 80, 2, 2, 6)), working_mm=1.0)[0]
    assert first.top == 0 and first.left == 0
    assert first.pixels[0, 0] and not first.pixels[-1, -1]
    noise = np.random.default_rng(0).random((300, 300))
    assert len(blobs(working(noise), working_mm=1.0)) == BLOBS
    assert blobs(working(np.full((60, 60), 0.5)), working_mm=1.0) == []


def test_the_probe_learns_brightness_and_nothing_without_two_classes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(200) < 0.5
    features = [(float(value), 0.3) for value in rng.normal(np.where(labels, 2.0, 0.0), 1.0)]
    probe = Probe.fit(features, labels.tolist())
    assert probe is not None
    assert probe.score((3.0, 0.3)) > 0.9 > 0.1 > probe.score((-1.0, 0.3))
    assert Probe.fit(features, [True] * 200) is None
    assert Probe.fit([], []) is None


def test_the_brightest_lie_in_the_breast() -> None:
    pixels = breast_phantom(160).astype(np.uint16) * np.uint16(257)
    pixels[:20, 120:150] = 65535  # a label
    breast = find_breast(pixels)
    mask, inside = brightest_mask(pixels, breast), breast_mask(breast, (160, 160))
    assert not mask[:20, 120:150].any()
    assert mask.sum() / inside.sum() == pytest.approx(0.15, abs=0.01)
