import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.audit import THRESHOLD
from model_export.audit.blocks import BINS, BLOCKS, block_histograms
from tests.model_export.audit.looked_at import pixels

pytestmark = pytest.mark.unit


def distance(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> float:
    return 1.0 - float(block_histograms(one) @ block_histograms(other))


def jpeg(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
    small = (image >> 8).astype(np.uint8)
    stored = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    back = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE)
    return back.astype(np.uint16) * np.uint16(257)


def test_each_block_counts_its_own_intensities() -> None:
    image = np.zeros((160, 160), np.uint16)
    image[:80] = 60000
    shares = block_histograms(image).reshape(BLOCKS, BLOCKS, BINS)
    np.testing.assert_allclose(shares[:10, :, -1], 1 / BLOCKS, rtol=1e-5)
    np.testing.assert_allclose(shares[10:, :, 0], 1 / BLOCKS, rtol=1e-5)
    np.testing.assert_allclose(shares[..., 1:-1], 0)
    assert np.linalg.norm(shares) == pytest.approx(1)


def test_the_same_image_stored_otherwise_stays_below_the_threshold() -> None:
    image = pixels(3)
    darker = (image * 0.6).astype(np.uint16)
    shifted = np.roll(image, 1, axis=1)
    smaller = cv2.resize(image, (150, 170), interpolation=cv2.INTER_AREA)
    marked = image.copy()
    marked[4:9, 180:195] = 65535
    for other in (jpeg(image), darker, shifted, smaller, marked):
        assert distance(image, other) < THRESHOLD


def test_other_images_stay_above_it() -> None:
    image = pixels(3)
    for other in (pixels(4), pixels(7), np.ascontiguousarray(image[:, ::-1])):
        assert distance(image, other) > THRESHOLD


def test_an_empty_frame_is_described_too() -> None:
    flat = np.full((50, 40), 7, np.uint16)
    assert distance(flat, flat) == pytest.approx(0, abs=1e-6)
