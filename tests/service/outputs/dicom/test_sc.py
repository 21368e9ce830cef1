"""The picture: what is drawn, where, and how it is labelled."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from service.findings import SEVERAL
from service.outputs.dicom.registry import dicom_file
from service.outputs.dicom.sc import MAX_LONG_SIDE, MIN_LONG_SIDE, draw_overlay
from service.segmenter import SPACING_ASSUMED
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.unit


def green(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say where something was drawn in colour."""
    as_int = picture.astype(int)
    return (as_int[..., 1] - as_int[..., 0]) > 60


@pytest.mark.parametrize(
    ("shape", "longest"),
    [((120, 80), MIN_LONG_SIDE), ((700, 1000), 1000), ((4100, 900), MAX_LONG_SIDE)],
)
def test_the_picture_is_bounded_both_ways(shape: tuple[int, int], longest: int) -> None:
    picture = draw_overlay(findings_by_hand(shape))
    size = round(shape[0] * longest / max(shape)), round(shape[1] * longest / max(shape))
    assert picture.shape[1] == size[1]
    assert size[0] < picture.shape[0] < 1.5 * size[0] + size[1]


@pytest.mark.parametrize(
    "mammogram",
    [
        {"pixel_spacing_mm": (0.2, 0.1)},
        {"pixel_spacing_mm": None, "pixel_aspect": 2.0},
    ],
)
def test_the_pixels_of_the_picture_are_square(mammogram: dict[str, Any]) -> None:
    findings = findings_by_hand((300, 400), **mammogram)
    picture = draw_overlay(findings)
    assert picture.shape == draw_overlay(findings_by_hand((600, 400))).shape
    rows, columns = np.nonzero(green(picture[:600]))
    boxes = [region.box for region in findings.regions]
    assert abs(rows.max() - 2 * max(box.bottom for box in boxes)) < 8
    assert abs(columns.min() - min(box.left for box in boxes)) < 8


def test_outlines_lie_on_the_regions_and_the_rest_is_the_image() -> None:
    findings = findings_by_hand((600, 400))
    picture = draw_overlay(findings)[:600]
    drawn = green(picture)
    ys, xs = np.nonzero(drawn)
    for region in findings.regions:
        box = region.box
        near = (abs(xs - box.left) < 3) & (ys > box.top - 3) & (ys < box.bottom + 3)
        assert near.any()
    untouched = ~drawn
    grey = (findings.mammogram.pixels >> 8).astype(int)
    assert np.median(abs(picture[..., 0].astype(int) - grey)[untouched]) == 0
    assert drawn.mean() < 0.05


@pytest.mark.parametrize("findings", [findings_by_hand(score=0.1), findings_by_hand(blobs=())])
def test_without_a_finding_nothing_is_drawn_and_it_says_so(findings: object) -> None:
    picture = draw_overlay(findings)  # type: ignore[arg-type]
    assert not green(picture).any()
    rows = MIN_LONG_SIDE
    lines = np.array_split(picture[rows:], 3)
    assert all((line > 200).any() for line in lines)


def test_words_stand_below_the_image_and_fit() -> None:
    picture = draw_overlay(findings_by_hand((600, 60)))
    strip = picture[600:]
    assert (strip > 100).any()
    assert not (strip[:, -1] > 100).any()
    assert not (strip[-1] > 100).any()


@pytest.mark.parametrize("shape", [(600, 400), (600, 60), (400, 1200)])
def test_each_warning_stands_below_the_score_and_fits(shape: tuple[int, int]) -> None:
    plain = findings_by_hand(shape)
    pictures = [
        draw_overlay(replace(plain, caveats=caveats))
        for caveats in ((), (SEVERAL,), (SEVERAL, SPACING_ASSUMED))
    ]
    heights = [picture.shape[0] for picture in pictures]
    assert heights == sorted(set(heights))
    np.testing.assert_array_equal(pictures[2][: heights[0]], pictures[0])
    added = pictures[2][heights[0] :]
    # Two lines and three.
    lines = np.array_split(added, 5)
    assert all((line > 100).any() for line in lines)
    assert not (added[:, -1] > 100).any()


def test_it_is_marked_as_what_it_is() -> None:
    read = pydicom.dcmread(BytesIO(dicom_file("sc", findings_by_hand(), full_header())))
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit
    assert (read.LossyImageCompression, read.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert float(read.LossyImageCompressionRatio) > 1
    assert (read.BurnedInAnnotation, read.ImageType) == ("YES", ["DERIVED", "SECONDARY"])
    assert "AI, research use only" in read.DerivationDescription
    assert read.Modality == "OT"
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == full_header().SOPInstanceUID
    picture = draw_overlay(findings_by_hand())
    decoded = read.pixel_array
    assert decoded.shape == picture.shape
    rgb = pydicom.pixels.processing.convert_color_space(decoded, "YBR_FULL", "RGB")
    distance = min(
        abs(candidate.astype(int) - picture.astype(int)).mean() for candidate in (decoded, rgb)
    )
    assert distance < 3


def test_the_jpeg_halves_its_chroma_columns_as_declared() -> None:
    read = pydicom.dcmread(BytesIO(dicom_file("sc", findings_by_hand(), full_header())))
    frame = pydicom.encaps.get_frame(read.PixelData, 0)
    start = frame.index(b"\xff\xc0")
    # Of each component in the frame header: id, sampling factors, table (ITU-T T.81 B.2.2).
    samplings = [frame[start + 11 + 3 * component] for component in range(3)]
    assert (read.PhotometricInterpretation, samplings) == ("YBR_FULL_422", [0x21, 0x11, 0x11])
