"""An asymmetric phantom, stored in every orientation: what is found lies where it was, exactly."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.findings import Findings
from service.imaging.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE
from service.outputs.png import OUTLINE_SELECTED, mask_png, overlay_png
from service.outputs.result import result_of
from service.segmenter import Segmenter, SegmentOptions
from service.startup.models import open_model
from tests.dicom_files import dicom_file
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom
from tests.transfer_syntaxes import RLE

pytestmark = pytest.mark.integration

Pixels = NDArray[np.uint8]
MILLIMETRE = SegmentOptions(pixel_spacing_mm=(1.0, 1.0))

# Directions of rows and columns of a left MLO view (PS3.3 C.7.6.1.1.1), Field of View Horizontal
# Flip and Rotation, for each way to store the pixels.
ORIENTATIONS = {
    "as taken": (lambda pixels: pixels, ["A", "FR"], "NO", 0),
    "mirrored": (lambda pixels: pixels[:, ::-1], ["P", "FR"], "YES", 0),
    "upside down": (lambda pixels: pixels[::-1], ["A", "HL"], "YES", 180),
    "turned by 180": (lambda pixels: pixels[::-1, ::-1], ["P", "HL"], "NO", 180),
    "turned by 90": (lambda pixels: np.rot90(pixels, -1), ["HL", "A"], "NO", 90),
    "transposed": (lambda pixels: pixels.T, ["FR", "A"], "YES", 90),
}


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    path = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with open_model(path) as segmenter:
        yield segmenter


def check(findings: Findings, pixels: Pixels) -> None:
    """Compare every output with the phantom's own pixels: 250 is lesion, 190 a mere candidate."""
    lesion = pixels == 250
    np.testing.assert_array_equal(findings.mask, lesion)
    strong, weak = findings.regions
    for region, value in ((strong, 250), (weak, 190)):
        rows, columns = np.nonzero(pixels == value)
        box = region.box
        assert (box.top, box.left) == (rows.min(), columns.min())
        assert (box.bottom, box.right) == (rows.max() + 1, columns.max() + 1)
        assert region.centroid == (pytest.approx(columns.mean()), pytest.approx(rows.mean()))
        corners = {(x, y) for x in (box.left, box.right - 1) for y in (box.top, box.bottom - 1)}
        assert set(region.contour) == corners
    check_pictures(findings, lesion)


def check_pictures(findings: Findings, lesion: NDArray[np.bool_]) -> None:
    mask = cv2.imdecode(np.frombuffer(mask_png(findings), np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(mask > 0, lesion)
    counts = result_of(findings, (), 0).mask.counts
    drawn = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(lesion.shape[::-1]).T
    np.testing.assert_array_equal(drawn, lesion)
    png = overlay_png(findings, max(lesion.shape))
    overlay = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    green = (overlay == np.array(OUTLINE_SELECTED)).all(axis=-1)
    rows, columns = np.nonzero(lesion)
    outline = np.zeros_like(lesion)
    outline[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    outline[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()] = False
    assert green[outline].all()
    # The line is two pixels wide.
    near = cv2.dilate(outline.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not green[~near].any()


@pytest.mark.parametrize("syntax", (EXPLICIT_LITTLE, EXPLICIT_BIG, RLE))
@pytest.mark.parametrize("photometric", ("MONOCHROME1", "MONOCHROME2"))
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_dicom_file(segmenter: Segmenter, name: str, photometric: str, syntax: str) -> None:
    turn, orientation, flip, rotation = ORIENTATIONS[name]
    pixels = np.ascontiguousarray(turn(breast_phantom()))
    stored = pixels.astype(np.int32)
    elements: dict[str, Any] = {
        "PhotometricInterpretation": photometric,
        "ImagerPixelSpacing": [1.0, 1.0],
        "PatientOrientation": orientation,
        "ViewPosition": "MLO",
        "FieldOfViewHorizontalFlip": flip,
        "FieldOfViewRotation": rotation,
    }
    body = dicom_file(
        255 - stored if photometric == "MONOCHROME1" else stored,
        syntax=syntax,
        bits_stored=8,
        bits_allocated=8,
        **elements,
    )
    findings = segmenter.segment(body)
    check(findings, pixels)
    image = result_of(findings, (), 0).image
    assert (image.laterality, image.view_position) == ("L", "MLO")
    assert (image.rows, image.columns) == pixels.shape
    assert findings.caveats == ()


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_png(segmenter: Segmenter, name: str) -> None:
    pixels = np.ascontiguousarray(ORIENTATIONS[name][0](breast_phantom()))
    png = bytes(cv2.imencode(".png", pixels)[1])
    check(segmenter.segment(png, options=MILLIMETRE), pixels)


@pytest.mark.parametrize("aspect", (0.5, 2.0))
def test_pixels_that_are_not_square(segmenter: Segmenter, aspect: float) -> None:
    """Without spacing, with an aspect ratio: the long side is 240 mm, and the phantom is itself."""
    pixels = breast_phantom()
    stored = np.repeat(pixels, 2, axis=0) if aspect == 0.5 else np.repeat(pixels, 2, axis=1)
    body = dicom_file(
        stored.astype(np.int32),
        bits_stored=8,
        bits_allocated=8,
        PixelAspectRatio=[1, 2] if aspect == 0.5 else [2, 1],
    )
    findings = segmenter.segment(body)
    # A source pixel is lost along two edges that enlarging softens.
    assert (findings.mask != (stored == 250)).sum() <= 80
    box = findings.lesion_map.box
    scale = (stored.shape[0] / 240, stored.shape[1] / 160)
    assert findings.lesion_map.probability.shape == (
        round(box.rows / scale[0]),
        round(box.columns / scale[1]),
    )
    assert findings.mammogram.pixel_spacing_mm is None
    assert [caveat.code for caveat in findings.caveats] == ["spacing-assumed"]
