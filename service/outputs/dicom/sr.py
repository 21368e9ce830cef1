"""Findings -> Enhanced SR after TID 1500, Measurement Report (PS3.3 A.35.2, PS3.16 A).

Enhanced SR holds all that the template needs here (coordinates on an image, numbers, codes) and is
taken by far more archives than the younger Comprehensive 3D SR.
"""

import highdicom.sr as sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import EnhancedSRStorage

from service.findings import Findings
from service.imaging.regions import Region
from service.outputs.dicom import algorithm
from service.outputs.dicom.codes import (
    ABNORMAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    BREAST,
    CERTAINTY,
    LESION,
    MODALITIES,
    PERCENT,
    SIDES,
    SQUARE_MILLIMETER,
)
from service.outputs.dicom.content import (
    Relation,
    acquisition_context,
    image_reference,
    text_item,
    with_children,
)
from service.outputs.dicom.document import set_document
from service.outputs.dicom.identity import device_uid
from service.outputs.dicom.instance import Kind, file_under_source
from service.outputs.dicom.lesion_class import lesion_code, named
from service.outputs.dicom.outline import area_mm2, frame_outline, outline, percent, shown_regions
from service.outputs.dicom.reference import STAND_IN_CLASS, Source
from service.outputs.dicom.tracking import image_tracking_uid, tracking_id, tracking_uid

SR = Kind("sr", "SR", 9003, "Lesion report")

_DETECTED = Code("260373001", "SCT", "Detected")
_NOT_DETECTED = Code("260415000", "SCT", "Not detected")


def measurement_report(findings: Findings, source: Source) -> Dataset:
    """Make the report: the image's has-mask score, then a group for each finding, if any."""
    report = sr.MeasurementReport(
        observation_context=_observer(findings),
        procedure_reported=codes.SCT.Mammography,
        imaging_measurements=[
            _image_group(findings, source),
            *(
                _finding_group(findings, source, number, region)
                for number, region in enumerate(shown_regions(findings), 1)
            ),
        ],
    )[0]
    *context, measurements = report.ContentSequence
    made = Dataset()
    made.SOPClassUID = EnhancedSRStorage
    set_document(made, source)
    made.update(
        with_children(
            report, [*context, _image_library(findings, source), *_comments(findings), measurements]
        )
    )
    return file_under_source(made, findings, source, SR)


def _observer(findings: Findings) -> sr.ObservationContext:
    """Name the device as the observer (TID 1001, TID 1004)."""
    model = findings.model
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(model),
        name=algorithm.name(findings),
        manufacturer_name=algorithm.MANUFACTURER,
        model_name=f"{algorithm.name(findings)} {algorithm.standing(model)}",
        serial_number=model.sha256,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )


def _comments(findings: Findings) -> list[Dataset]:
    """Say in plain words what this is, and of what it warns; TID 1500 may be extended."""
    said = (algorithm.UNAPPROVED, *algorithm.warnings(findings))
    return [text_item(codes.DCM.Comment, words, Relation.CONTAINS) for words in said]


def _image_library(findings: Findings, source: Source) -> Dataset:
    """Make the Image Library (TID 1600); OHIF did not open reports without one for long."""
    laterality = findings.mammogram.laterality
    context = acquisition_context(findings, source, SIDES[laterality] if laterality else None)
    modality = MODALITIES.get(source.modality)
    # TID 1602 begins with the modality; without it the entry goes undescribed.
    described = (
        []
        if modality is None
        else [sr.CodeContentItem(codes.DCM.Modality, modality, Relation.HAS_ACQ_CONTEXT), *context]
    )
    entry = with_children(image_reference(source, Relation.CONTAINS), described)
    group = sr.ContainerContentItem(
        codes.DCM.ImageLibraryGroup, relationship_type=Relation.CONTAINS
    )
    library = sr.ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=Relation.CONTAINS)
    return with_children(library, [with_children(group, [entry])])


def _image_group(findings: Findings, source: Source) -> sr.MeasurementsAndQualitativeEvaluations:
    """Report on the whole image (TID 1501): has-mask score and decision.

    The score is inferred from the frame's four edges, spelt out: OHIF before 3.13 does not open a
    report that has a number without coordinates.
    """
    score = sr.Measurement(
        CERTAINTY,
        percent(findings.has_mask.score),
        PERCENT,
        referenced_coordinates=[
            sr.CoordinatesForMeasurement(
                graphic_type=sr.GraphicTypeValues.POLYLINE,
                graphic_data=frame_outline(findings),
                source_image=_source_image(source),
            )
        ],
    )
    evaluation = sr.QualitativeEvaluation(
        name=LESION, value=_DETECTED if findings.has_mask.decision else _NOT_DETECTED
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=image_tracking_uid(findings, source), identifier="Has-mask score of the image"
        ),
        finding_type=LESION,
        finding_sites=_sites(findings),
        algorithm_id=_algorithm(findings),
        measurements=[score],
        qualitative_evaluations=[evaluation],
        source_images=[sr.SourceImageForMeasurementGroup(STAND_IN_CLASS, source.sop_instance_uid)],
    )


def _finding_group(
    findings: Findings, source: Source, number: int, region: Region
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """Report on one region (TID 1410): outline, largest probability, area where it is known."""
    measurements = [
        sr.Measurement(
            CERTAINTY, percent(region.max_probability), PERCENT, derivation=codes.SCT.Maximum
        )
    ]
    area = area_mm2(region, findings.mammogram.pixel_spacing_mm)
    if area is not None:
        measurements.append(sr.Measurement(codes.SCT.Area, area, SQUARE_MILLIMETER))
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking_uid(findings, source, number),
            identifier=named(tracking_id(number), findings, region),
        ),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=outline(region),
            source_image=_source_image(source),
        ),
        finding_type=lesion_code(findings, region),
        finding_category=ABNORMAL_STRUCTURE,
        finding_sites=_sites(findings),
        algorithm_id=_algorithm(findings),
        measurements=measurements,
    )


def _source_image(source: Source) -> sr.SourceImageForRegion:
    return sr.SourceImageForRegion(STAND_IN_CLASS, source.sop_instance_uid)


def _sites(findings: Findings) -> list[sr.FindingSite]:
    laterality = findings.mammogram.laterality
    return [sr.FindingSite(BREAST, laterality=SIDES[laterality] if laterality else None)]


def _algorithm(findings: Findings) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=algorithm.name(findings),
        version=algorithm.version(findings),
        parameters=[f"{key}={value}" for key, value in algorithm.parameters(findings).items()],
        family=ARTIFICIAL_INTELLIGENCE,
        manufacturer=algorithm.MANUFACTURER,
    )
