"""The measurement report, read back by highdicom."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import highdicom.sr as sr
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from service.findings import NOT_FOUND, SEVERAL, Findings
from service.outputs.dicom.outline import outline, shown_regions
from service.outputs.dicom.registry import dicom_file
from tests.dicom_files import SOP_INSTANCE_UID
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.integration


def report_of(findings: Findings) -> Any:
    return sr.srread(BytesIO(dicom_file("sr", findings, full_header())))


def values(group: sr.MeasurementsAndQualitativeEvaluations) -> dict[str, float]:
    return {each.name.meaning: float(each.value) for each in group.get_measurements()}


def texts(report: pydicom.Dataset) -> list[str]:
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]


def test_each_region_has_its_outline_probability_and_area() -> None:
    findings = findings_by_hand(pixel_spacing_mm=(0.1, 0.2))
    groups = report_of(findings).content.get_planar_roi_measurement_groups()
    regions = shown_regions(findings)
    assert len(groups) == len(regions) == 2
    for number, (group, region) in enumerate(zip(groups, regions, strict=True), 1):
        np.testing.assert_array_equal(group.roi.value, outline(region))
        assert values(group) == {
            "Certainty of Finding": pytest.approx(100 * region.max_probability, abs=0.01),
            "Area": pytest.approx(region.area_pixels * 0.02, abs=0.01),
        }
        assert group.finding_type == codes.SCT.Lesion
        assert group.tracking_identifier == f"Finding {number}"
        assert group.finding_sites[0].laterality == codes.SCT.Left
        assert group.roi.ContentSequence[0].referenced_sop_instance_uid == SOP_INSTANCE_UID


@pytest.mark.parametrize(("score", "decision"), [(0.93, "Detected"), (0.1234, "Not detected")])
def test_the_image_has_its_score_and_decision(score: float, decision: str) -> None:
    report = report_of(findings_by_hand(score=score))
    (group,) = report.content.get_image_measurement_groups()
    assert values(group) == {"Certainty of Finding": pytest.approx(100 * score)}
    (evaluation,) = group.get_qualitative_evaluations(name=codes.SCT.Lesion)
    assert evaluation.value.meaning == decision
    assert len(report.content.get_planar_roi_measurement_groups()) == (2 if score > 0.5 else 0)


def test_without_a_spacing_there_is_no_area() -> None:
    report = report_of(findings_by_hand(pixel_spacing_mm=None))
    for group in report.content.get_planar_roi_measurement_groups():
        assert list(values(group)) == ["Certainty of Finding"]
    units = [item.value for item in report.iterall() if item.keyword == "CodeValue"]
    assert not {"mm", "mm2"} & set(units)


def test_it_says_which_model_and_that_it_is_not_approved() -> None:
    findings = findings_by_hand(score=0.1)
    report = report_of(findings)
    assert f"sha256={findings.model.sha256}" in texts(report)
    assert {"mammoseg-test", "1.2.3", "has-mask threshold=0.5"} <= set(texts(report))
    comment = next(item for item in report.ContentSequence if item.name == codes.DCM.Comment)
    assert "Unapproved research result: not a medical device" in comment.value
    observer = report.content.get_observer_contexts()
    assert [context.observer_type for context in observer] == [codes.DCM.Device]
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.ContentQualification == "RESEARCH"


def test_each_warning_is_a_comment_behind_that() -> None:
    findings = replace(findings_by_hand(), caveats=(SEVERAL, NOT_FOUND))
    root = report_of(findings).ContentSequence
    first, *others = [item.value for item in root if item.name == codes.DCM.Comment]
    assert first.startswith("Unapproved")
    assert others == [f"Warning: {caveat.detail}" for caveat in (SEVERAL, NOT_FOUND)]


def test_every_number_of_the_image_has_coordinates() -> None:
    # OHIF before 3.13 takes a number's content apart without looking whether there is any.
    (group,) = report_of(findings_by_hand()).content.get_image_measurement_groups()
    for measurement in group.get_measurements():
        assert [child.ValueType for child in measurement[0].ContentSequence] == ["SCOORD"]
