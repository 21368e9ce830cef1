"""Findings -> DICOM Segmentation (PS3.3 A.51), on the source's own pixels.

One segment a finding: OHIF and Weasis list segments by label, hide and jump to each, and a segment
carries the tracking UID that reports name. A mammogram is a projection without a Frame of
Reference; nothing spatial is invented, frames fit the source pixel by pixel and say so (A.51.5).
"""

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from service.findings import Findings
from service.imaging.regions import Region
from service.outputs.dicom import algorithm
from service.outputs.dicom.codes import (
    ABNORMAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    BREAST,
    LESION,
    SIDES,
)
from service.outputs.dicom.identity import result_uid
from service.outputs.dicom.instance import Kind, file_under_source, set_orientation
from service.outputs.dicom.lesion_class import lesion_code, named
from service.outputs.dicom.outline import percent, shown_regions
from service.outputs.dicom.reference import Source, bare_reference
from service.outputs.dicom.tracking import tracking_id, tracking_uid

SEG = Kind("seg", "SEG", 9001, "Lesion segmentation")
FRACTIONAL = Kind("seg-fractional", "SEG", 9002, "Lesion probability")

MAX_SEGMENTS = 16
"""A segment is a frame of one bit a pixel, 1.5 MB of a full-size mammogram. Past this number the
least probable findings share the last one: the mask stays whole and its size bounded."""

NOTHING = "No lesion found"

_GREEN = hd.color.CIELabColor(88.0, -79.0, 81.0)


def segmentation(findings: Findings, source: Source) -> Dataset:
    """Make a BINARY segmentation of the mask.

    Without a finding it holds one empty segment that says so, because a Segmentation without
    segments or frames is not valid (PS3.3 C.8.20.2, C.7.6.16).
    """
    regions = shown_regions(findings)
    labels = np.zeros(findings.mask.shape, np.uint8)
    for index, region in enumerate(regions):
        box = region.box
        part = labels[box.top : box.bottom, box.left : box.right]
        part[region.pixels] = min(index + 1, MAX_SEGMENTS)
    segments = [
        _finding(findings, source, number, region)
        for number, region in enumerate(regions[:MAX_SEGMENTS], 1)
    ]
    if len(regions) > MAX_SEGMENTS:
        segments[-1].SegmentLabel = f"Findings {MAX_SEGMENTS} to {len(regions)}"
    return _segmentation(findings, source, SEG, labels, segments or [_segment(findings, NOTHING)])


def fractional_segmentation(findings: Findings, source: Source) -> Dataset:
    """Make a FRACTIONAL segmentation, PROBABILITY from 0 to 255, of the lesion map.

    Gated findings give a map of zeros, as they give an empty mask.
    """
    label = NOTHING if findings.gated else "Lesion probability"
    return _segmentation(
        findings,
        source,
        FRACTIONAL,
        probability_of(findings)[np.newaxis, :, :, np.newaxis],
        [_segment(findings, label)],
    )


def probability_of(findings: Findings) -> NDArray[np.float32]:
    """Return what FRACTIONAL encodes: float32 in [0, 1], the source's (rows, columns)."""
    framed = np.zeros(findings.mask.shape, np.float32)
    if not findings.gated:
        box = findings.lesion_map.box
        inside = findings.lesion_map.sample(box, (box.rows, box.columns))
        framed[box.top : box.bottom, box.left : box.right] = np.clip(inside, 0.0, 1.0)
    return framed


def _finding(
    findings: Findings, source: Source, number: int, region: Region
) -> hd.seg.SegmentDescription:
    name = named(tracking_id(number), findings, region)
    label = f"{name} ({percent(region.max_probability):.0f} %)"
    described = _segment(findings, label, number, lesion_code(findings, region))
    described.TrackingID = tracking_id(number)
    described.TrackingUID = tracking_uid(findings, source, number)
    return described


def _segment(
    findings: Findings, label: str, number: int = 1, kind: Code = LESION
) -> hd.seg.SegmentDescription:
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=ABNORMAL_STRUCTURE,
        segmented_property_type=kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name(findings),
            family=ARTIFICIAL_INTELLIGENCE,
            version=algorithm.version(findings),
            source=algorithm.MANUFACTURER,
            parameters=algorithm.parameters(findings),
        ),
        anatomic_regions=[BREAST],
        display_color=_GREEN,
    )
    if findings.caveats:
        described.SegmentDescription = algorithm.with_warnings(algorithm.RESEARCH_ONLY, findings)
    if findings.mammogram.laterality is not None:
        side = hd.sr.CodedConcept.from_code(SIDES[findings.mammogram.laterality])
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [side]
    return described


def _segmentation(
    findings: Findings,
    source: Source,
    kind: Kind,
    pixels: NDArray[np.uint8] | NDArray[np.float32],
    segments: list[hd.seg.SegmentDescription],
) -> Dataset:
    made = hd.seg.Segmentation(
        source_images=[bare_reference(source, findings.mask.shape)],
        pixel_array=pixels,
        segmentation_type="BINARY" if kind is SEG else "FRACTIONAL",
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=kind.series_number,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian if kind is SEG else JPEGLSLossless,
        omit_empty_frames=False,
        **algorithm.equipment(findings),
    )
    dimensions = result_uid(findings, source.sop_instance_uid, kind.name, "dimensions")
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = dimensions
    for index in made.DimensionIndexSequence:
        index.DimensionOrganizationUID = dimensions
    set_orientation(made, source)
    return file_under_source(made, findings, source, kind)
