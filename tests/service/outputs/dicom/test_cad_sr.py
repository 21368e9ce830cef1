"""The Mammography CAD report: TID 4000 row by row."""

from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from service.findings import SEVERAL, Findings
from service.outputs.dicom.codes import VIEWS
from service.outputs.dicom.outline import centre, outline, shown_regions
from service.outputs.dicom.registry import dicom_result
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.unit

OVERALL, DETECTIONS, ANALYSES = "111017", "111064", "111065"


def report_of(findings: Findings, **elements: Any) -> Dataset:
    return dicom_result("cad-sr", findings, full_header(**elements))


def children(item: Dataset, concept: str) -> list[Dataset]:
    """Return the children of an item that have a concept name."""
    return [
        child
        for child in item.get("ContentSequence", [])
        if "ConceptNameCodeSequence" in child
        and child.ConceptNameCodeSequence[0].CodeValue == concept
    ]


def child(item: Dataset, concept: str) -> Dataset:
    (only,) = children(item, concept)
    return only


def code(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def at(report: Dataset, position: list[int]) -> Dataset:
    """Follow a by-reference relationship."""
    item = report
    assert position[0] == 1
    for index in position[1:]:
        item = item.ContentSequence[index - 1]
    return item


def findings_in(report: Dataset) -> list[Dataset]:
    impressions = children(child(report, OVERALL), "111034")
    return [child(impression, "111059") for impression in impressions]


def test_each_region_is_a_single_image_finding_without_an_impression() -> None:
    findings = findings_by_hand()
    report = report_of(findings)
    assert code(child(report, OVERALL)) == "All algorithms succeeded; with findings"
    found = findings_in(report)
    assert len(found) == len(shown_regions(findings)) == 2
    for item, region in zip(found, shown_regions(findings), strict=True):
        assert code(item) == "Selected region"
        assert code(child(item, "111056")).startswith("Presentation Required")
        certainty = child(item, "111012").MeasuredValueSequence[0]
        assert float(certainty.NumericValue) == pytest.approx(
            100 * region.max_probability, abs=0.01
        )
        point, line = child(item, "111010"), child(item, "111041")
        assert (point.GraphicType, line.GraphicType) == ("POINT", "POLYLINE")
        assert list(point.GraphicData) == pytest.approx(list(centre(region)))
        assert list(line.GraphicData) == pytest.approx(outline(region).ravel().tolist())
        assert "Unapproved" in child(item, "111058").TextValue
    # Neither an assessment category nor a recommendation (TID 4002).
    assert not [item for item in report.iterall() if item.value in ("111005", "111053", "111023")]


def test_coordinates_are_on_the_image_of_the_library() -> None:
    report = report_of(findings_by_hand())
    references = [
        (list(item.value))
        for item in report.iterall()
        if item.keyword == "ReferencedContentItemIdentifier"
    ]
    assert len(references) == 2 * 2 + 1
    for position in references:
        image = at(report, position)
        assert image.ValueType == "IMAGE"
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == (
            full_header().SOPInstanceUID
        )


@pytest.mark.parametrize("findings", [findings_by_hand(score=0.1), findings_by_hand(blobs=())])
def test_without_a_finding_detection_has_succeeded_all_the_same(findings: Findings) -> None:
    report = report_of(findings)
    assert code(child(report, OVERALL)) == "All algorithms succeeded; without findings"
    assert findings_in(report) == []
    detections = child(report, DETECTIONS)
    assert code(detections) == "Succeeded"
    performed = child(child(detections, "111063"), "111022")
    said = [item.TextValue for item in performed.ContentSequence if "TextValue" in item]
    assert {"mammoseg-test", "1.2.3", f"sha256={findings.model.sha256}"} <= set(said)
    assert f"has-mask score={findings.has_mask.score:.4f}" in said
    assert code(child(report, ANALYSES)) == "Not Attempted"


@pytest.mark.parametrize("score", [0.93, 0.1])
def test_a_warning_stands_where_the_algorithm_is_identified(score: float) -> None:
    report = report_of(replace(findings_by_hand(score=score), caveats=(SEVERAL,)))
    performed = child(child(child(report, DETECTIONS), "111063"), "111022")
    for item in (performed, *findings_in(report)):
        said = [one.TextValue for one in children(item, "111002")]
        assert said[-1] == f"Warning: {SEVERAL.detail}"


@pytest.mark.parametrize("view", VIEWS)
def test_the_library_says_what_the_header_says(view: str) -> None:
    findings = findings_by_hand(laterality="R", view_position=view, pixel_spacing_mm=(0.1, 0.2))
    report = report_of(findings, PatientOrientation=["P", "FL"])
    (entry,) = child(report, "111028").ContentSequence
    assert code(child(entry, "111027")) == "Right breast"
    assert code(child(entry, "111031")) == VIEWS[view].meaning
    assert (child(entry, "111044").TextValue, child(entry, "111043").TextValue) == ("P", "FL")
    moment = str(child(entry, "111060").Date), str(child(entry, "111061").Time)
    assert moment == ("20230405", "081500")
    spacing = [child(entry, name).MeasuredValueSequence[0] for name in ("111026", "111066")]
    assert [float(value.NumericValue) for value in spacing] == [0.2, 0.1]


def test_what_is_not_known_is_not_in_the_library() -> None:
    findings = findings_by_hand(laterality=None, view_position="XYZ", pixel_spacing_mm=None)
    report = report_of(findings, PatientOrientation="CC", StudyDate=None, StudyTime=None)
    (entry,) = child(report, "111028").ContentSequence
    assert "ContentSequence" not in entry
    assert not children(findings_in(report)[0], "131184002")
