"""Segmentations, read back by highdicom and by pydicom."""

from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from service.findings import Findings
from service.imaging.regions import Region
from service.outputs.dicom.outline import shown_regions
from service.outputs.dicom.registry import dicom_file
from service.outputs.dicom.seg import MAX_SEGMENTS, NOTHING, probability_of
from tests.dicom_files import SOP_INSTANCE_UID
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.integration

ODD = (121, 83)
"""Not a whole number of bytes a frame: the second frame starts within a byte."""

MANY = tuple((0.1 + 0.02 * n, 0.05 + n % 4 / 6, 0.004, 0.9) for n in range(40))


def segmentation_of(findings: Findings, kind: str = "seg") -> hd.seg.Segmentation:
    file = dicom_file(kind, findings, full_header(shape=findings.mask.shape))
    return hd.seg.segread(BytesIO(file))


def segments_of(read: hd.seg.Segmentation) -> np.ndarray:
    """Return highdicom's reading: shape (rows, columns, segments)."""
    return read.get_pixels_by_source_instance([SOP_INSTANCE_UID])[0]


def drawn(region: Region, shape: tuple[int, ...]) -> np.ndarray:
    """Return a region alone on the source's grid."""
    alone = np.zeros(shape, bool)
    box = region.box
    alone[box.top : box.bottom, box.left : box.right] = region.pixels
    return alone


def test_highdicom_reads_each_region_back_to_the_pixel() -> None:
    findings = findings_by_hand(ODD)
    read = segmentation_of(findings)
    regions = shown_regions(findings)
    pixels = segments_of(read).astype(bool)
    assert pixels.shape == (*ODD, len(regions)) == (*ODD, 2)
    for index, region in enumerate(regions):
        np.testing.assert_array_equal(pixels[..., index], drawn(region, ODD))
    np.testing.assert_array_equal(pixels.any(axis=-1), findings.mask)


def test_pydicom_reads_the_mask_of_a_full_size_mammogram_back(cbis_files: list[Path]) -> None:
    header = pydicom.dcmread(cbis_files[0], stop_before_pixels=True)
    findings = findings_by_hand((header.Rows, header.Columns), pixel_spacing_mm=None)
    read = pydicom.dcmread(BytesIO(dicom_file("seg", findings, header)))
    assert (read.Rows, read.Columns) == (header.Rows, header.Columns)
    np.testing.assert_array_equal(read.pixel_array.any(axis=0), findings.mask)


def test_past_its_bound_findings_share_a_segment_and_none_is_lost() -> None:
    findings = findings_by_hand(blobs=MANY)
    found = len(shown_regions(findings))
    assert found > MAX_SEGMENTS
    read = segmentation_of(findings)
    assert read.number_of_segments == MAX_SEGMENTS
    assert read.SegmentSequence[-1].SegmentLabel == f"Findings {MAX_SEGMENTS} to {found}"
    pixels = segments_of(read).astype(bool)
    for index, region in enumerate(shown_regions(findings)):
        part = pixels[..., min(index, MAX_SEGMENTS - 1)]
        assert part[drawn(region, findings.mask.shape)].all()
    np.testing.assert_array_equal(pixels.any(axis=-1), findings.mask)


@pytest.mark.parametrize("findings", [findings_by_hand(score=0.1), findings_by_hand(blobs=())])
@pytest.mark.parametrize("kind", ["seg", "seg-fractional"])
def test_without_a_finding_there_is_one_empty_segment_that_says_so(
    findings: Findings, kind: str
) -> None:
    read = segmentation_of(findings, kind)
    assert not read.pixel_array.any()
    assert read.pixel_array.shape == findings.mask.shape
    if kind == "seg" or findings.gated:
        assert [item.SegmentLabel for item in read.SegmentSequence] == [NOTHING]
    assert "TrackingUID" not in read.SegmentSequence[0]


def test_the_fractional_variant_holds_the_map_in_steps_of_one_255th() -> None:
    findings = findings_by_hand(ODD)
    read = segmentation_of(findings, "seg-fractional")
    assert read.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert (read.SegmentationFractionalType, read.MaximumFractionalValue) == ("PROBABILITY", 255)
    expected = np.around(probability_of(findings) * 255.0).astype(np.uint8)
    np.testing.assert_array_equal(read.pixel_array, expected)
    assert expected.max() == round(0.93 * 255)


def test_the_fractional_map_passes_the_threshold_where_the_mask_is() -> None:
    findings = findings_by_hand(ODD)
    np.testing.assert_array_equal(probability_of(findings) >= 0.5, findings.mask)


def test_no_geometry_is_invented_and_nothing_but_the_source_is_referred_to() -> None:
    header = full_header(FrameOfReferenceUID="1.2.3", PositionReferenceIndicator="")
    read = pydicom.dcmread(BytesIO(dicom_file("seg", findings_by_hand(), header)))
    keywords = {element.keyword for element in read.iterall()}
    assert not keywords & {
        *("FrameOfReferenceUID", "PlanePositionSequence", "PlaneOrientationSequence"),
        *("PixelMeasuresSequence", "ImagePositionPatient", "ImageOrientationPatient"),
        *("PixelSpacing", "SliceThickness"),
    }
    referred = {
        element.value
        for element in read.iterall()
        if element.keyword in ("ReferencedSOPInstanceUID", "ReferencedSOPClassUID")
    }
    assert referred == {SOP_INSTANCE_UID, header.SOPClassUID}
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == header.SeriesInstanceUID


def test_the_algorithm_is_identified() -> None:
    findings = findings_by_hand(laterality="R")
    segment = segmentation_of(findings).SegmentSequence[0]
    named = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (named.AlgorithmName, named.AlgorithmVersion) == ("mammoseg-test", "1.2.3")
    assert named.AlgorithmFamilyCodeSequence[0].CodeMeaning == "Artificial Intelligence"
    assert findings.model.sha256 in named.AlgorithmParameters
    assert segment.SegmentLabel == "Finding 1 (93 %)"
    side = segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert side.CodeMeaning == "Right"
