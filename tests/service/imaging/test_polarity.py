import csv

import cv2
import numpy as np
import pytest

from service.imaging.polarity import background_is_bright
from tests.dicom_files import phantom

ROWS, COLUMNS = 400, 320


def breast(background=0, noise=0, edge=None):
    rng = np.random.default_rng(1)
    pixels = phantom(16, rows=ROWS, columns=COLUMNS) * 0.8 + background
    pixels = pixels + rng.normal(0, noise, pixels.shape) if noise else pixels
    if edge is not None:
        pixels[:5] = pixels[-5:] = edge
        pixels[:, :4] = pixels[:, -4:] = edge
    return np.clip(pixels, 0, 65535).astype(np.uint16)


@pytest.mark.unit
@pytest.mark.parametrize(
    "options",
    (
        {},
        {"background": 6000},
        {"noise": 400},
        {"background": 4000, "noise": 800},
        {"background": 5000, "edge": 65535},
    ),
)
def test_dark_and_bright_backgrounds(options):
    pixels = breast(**options)
    assert not background_is_bright(pixels)
    assert background_is_bright(np.uint16(65535) - pixels)


@pytest.mark.unit
def test_twelve_bits_in_sixteen():
    pixels = breast(noise=400) >> 4
    assert not background_is_bright(pixels)
    assert background_is_bright(np.uint16(4095) - pixels)


@pytest.mark.unit
def test_empty_frames():
    assert not background_is_bright(np.full((50, 40), 3, np.uint16))
    assert background_is_bright(np.full((50, 40), 65000, np.uint16))
    assert background_is_bright(np.full((1, 1), 65000, np.uint16))


def reference(folder):
    """Yield thumbnails of real mammograms, all with a dark background, by source."""
    for name in ("mini-mias", "cdd-cesm"):
        for path in sorted((folder / name / "images").glob("*")):
            yield name, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


@pytest.mark.integration
def test_real_mammograms_and_their_negatives(shared_data):
    wrong = [
        (name, index)
        for index, (name, grey) in enumerate(reference(shared_data))
        for pixels in (cv2.resize(grey, (160, 160), interpolation=cv2.INTER_AREA),)
        if background_is_bright(pixels.astype(np.uint16) * 257)
        or not background_is_bright((255 - pixels).astype(np.uint16) * 257)
    ]
    assert wrong == []


@pytest.mark.integration
def test_a_sixth_of_the_rsna_images_is_inverted(shared_data):
    # 427 of 2,541, each looked at on contact sheets; every fourth file is read here.
    folder = shared_data / "rsna-640"
    with (folder / "labels.csv").open(newline="") as table:
        names = sorted(row["name"] for row in csv.DictReader(table))[::4]
    bright = 0
    for name in names:
        grey = cv2.imread(str(folder / "images" / f"{name}.jpg"), cv2.IMREAD_REDUCED_GRAYSCALE_4)
        bright += background_is_bright(grey.astype(np.uint16) * 257)
    assert bright == pytest.approx(len(names) * 427 / 2541, rel=0.1)
