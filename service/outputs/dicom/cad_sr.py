"""Findings -> Mammography CAD SR (PS3.3 A.35.5, PS3.16 TID 4000 and what it includes).

The report gives no impression and no recommendation: each finding is a Single Image Finding of its
own. What it found is coded "Selected region" (CID 6014), the one term that claims neither a mass
nor calcifications: the model tells lesions from tissue, not lesions from each other.
"""

from collections.abc import Sequence

import highdicom.sr as sr
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import MammographyCADSRStorage

from service.findings import Findings
from service.imaging.regions import Region
from service.outputs.dicom import algorithm
from service.outputs.dicom.codes import BREASTS, CERTAINTY, PERCENT, SQUARE_MILLIMETER
from service.outputs.dicom.content import (
    Relation,
    acquisition_context,
    by_reference,
    code_item,
    container,
    image_reference,
    language,
    text_item,
    with_children,
)
from service.outputs.dicom.document import set_document
from service.outputs.dicom.instance import Kind, file_under_source
from service.outputs.dicom.lesion_class import named
from service.outputs.dicom.outline import area_mm2, centre, outline, percent, shown_regions
from service.outputs.dicom.reference import Source
from service.outputs.dicom.tracking import tracking_id, tracking_uid

CAD_SR = Kind("cad-sr", "SR", 9004, "Mammography CAD report")

_IMAGE = (1, 2, 1)
"""Where the image library's entry stands in the tree; TID 4000 fixes the order."""

_FINDING: Code = codes.DCM.SelectedRegion
_DESCRIPTION = "Region that may be a lesion, benign or malignant. " + algorithm.UNAPPROVED
# pydicom's dictionary holds an invisible space in this meaning.
_IMPRESSION = Code("111034", "DCM", "Individual Impression/Recommendation")
_PRESENT: Code = codes.cid6034.PresentationRequiredRenderingDeviceIsExpectedToPresent
_SELECTED_REGION_DESCRIPTION = Code("111058", "DCM", "Selected Region Description")


def mammography_cad_report(findings: Findings, source: Source) -> Dataset:
    """Make the report; without a finding it says that detection succeeded and found nothing."""
    made = Dataset()
    made.SOPClassUID = MammographyCADSRStorage
    set_document(made, source)
    made.update(_root(findings, source))
    return file_under_source(made, findings, source, CAD_SR)


def _root(findings: Findings, source: Source) -> Dataset:
    """Make the document root (TID 4000), its rows in order."""
    root = sr.ContainerContentItem(
        codes.DCM.MammographyCADReport, is_content_continuous=False, template_id="4000"
    )
    library = container(codes.DCM.ImageLibrary, Relation.CONTAINS)
    laterality = findings.mammogram.laterality
    side = BREASTS[laterality] if laterality else None
    entry = with_children(
        image_reference(source, Relation.CONTAINS), acquisition_context(findings, source, side)
    )
    return with_children(
        root,
        [
            language(),
            with_children(library, [entry]),
            _findings(findings, source),
            _detections(findings),
            code_item(codes.DCM.SummaryOfAnalyses, codes.DCM.NotAttempted, Relation.CONTAINS),
        ],
    )


def _findings(findings: Findings, source: Source) -> Dataset:
    """Make CAD Processing and Findings Summary (TID 4001), one container a finding (TID 4003)."""
    regions = shown_regions(findings)
    summary = (
        codes.DCM.AllAlgorithmsSucceededWithFindings
        if regions
        else codes.DCM.AllAlgorithmsSucceededWithoutFindings
    )
    impressions = []
    for number, region in enumerate(regions, 1):
        impression = container(_IMPRESSION, Relation.INFERRED_FROM)
        finding = _single_image_finding(findings, source, number, region)
        impressions.append(with_children(impression, [_rendering_intent(), finding]))
    return with_children(
        code_item(codes.DCM.CADProcessingAndFindingsSummary, summary, Relation.CONTAINS),
        impressions,
    )


def _single_image_finding(
    findings: Findings, source: Source, number: int, region: Region
) -> Dataset:
    """Make a Single Image Finding (TID 4006) with its geometry (TID 4021).

    As a selected region has them, with a description and an area (TID 4013).
    """
    properties: list[Dataset] = [
        _rendering_intent(),
        sr.TextContentItem(
            codes.DCM.TrackingIdentifier, tracking_id(number), Relation.HAS_OBS_CONTEXT
        ),
        sr.UIDRefContentItem(
            codes.DCM.TrackingUniqueIdentifier,
            tracking_uid(findings, source, number),
            Relation.HAS_OBS_CONTEXT,
        ),
        *_algorithm(findings),
        _number(CERTAINTY, percent(region.max_probability), PERCENT),
        _on_image(codes.DCM.Center, "POINT", [centre(region)]),
        _on_image(codes.DCM.Outline, "POLYLINE", outline(region).tolist()),
        sr.TextContentItem(
            _SELECTED_REGION_DESCRIPTION,
            named(_DESCRIPTION, findings, region),
            Relation.HAS_PROPERTIES,
        ),
    ]
    area = area_mm2(region, findings.mammogram.pixel_spacing_mm)
    if area is not None:
        properties.append(_number(codes.SCT.AreaOfDefinedRegion, area, SQUARE_MILLIMETER))
    return with_children(
        code_item(codes.DCM.SingleImageFinding, _FINDING, Relation.CONTAINS), properties
    )


def _detections(findings: Findings) -> Dataset:
    """Make Summary of Detections with the one detection performed (TID 4015, TID 4017)."""
    performed = with_children(
        code_item(codes.DCM.DetectionPerformed, _FINDING, Relation.CONTAINS),
        [*_algorithm(findings), by_reference(Relation.HAS_PROPERTIES, *_IMAGE)],
    )
    successful = container(codes.DCM.SuccessfulDetections, Relation.INFERRED_FROM)
    return with_children(
        code_item(codes.DCM.SummaryOfDetections, codes.DCM.Succeeded, Relation.CONTAINS),
        [with_children(successful, [performed])],
    )


def _algorithm(findings: Findings) -> list[Dataset]:
    """Identify the algorithm (TID 4019).

    The document has no other place for the image's score, nor for what all this is worth and of
    what it warns.
    """
    ran_with = algorithm.parameters(findings) | {"has-mask score": f"{findings.has_mask.score:.4f}"}
    said = [f"{key}={value}" for key, value in ran_with.items()]
    said += [algorithm.UNAPPROVED, *algorithm.warnings(findings)]
    texts = [
        (codes.DCM.AlgorithmName, algorithm.name(findings)),
        (codes.DCM.AlgorithmVersion, algorithm.version(findings)),
        *((codes.DCM.AlgorithmParameters, text) for text in said),
    ]
    return [text_item(name, text, Relation.HAS_PROPERTIES) for name, text in texts]


def _rendering_intent() -> Dataset:
    return code_item(codes.DCM.RenderingIntent, _PRESENT, Relation.HAS_CONCEPT_MOD)


def _on_image(name: Code, kind: str, points: Sequence[tuple[float, float]]) -> Dataset:
    item = sr.ScoordContentItem(
        name, kind, np.array(points, np.float32), relationship_type=Relation.HAS_PROPERTIES
    )
    return with_children(item, [by_reference(Relation.SELECTED_FROM, *_IMAGE)])


def _number(name: Code, value: float, unit: Code) -> Dataset:
    return sr.NumContentItem(name, value, unit, relationship_type=Relation.HAS_PROPERTIES)
