"""The same image, model and choices give the same object; anything else gives another."""

from dataclasses import replace
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from service import __version__
from service.findings import Findings
from service.outputs.dicom import identity
from service.outputs.dicom.registry import OUTPUTS, dicom_file, dicom_result
from tests.findings_by_hand import MODEL, findings_by_hand
from tests.mammogram_headers import full_header

pytestmark = pytest.mark.unit

NO = 0.1
"""A score that says no."""


def instance_uid(findings: Findings, header: Dataset | None = None, kind: str = "sr") -> str:
    return str(dicom_result(kind, findings, header or full_header()).SOPInstanceUID)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_sent_twice_gives_the_same_bytes(kind: str) -> None:
    first, second = (dicom_file(kind, findings_by_hand(), full_header()) for _ in range(2))
    assert first == second
    assert first[:132] == bytes(128) + b"DICM"


@pytest.mark.parametrize("kind", OUTPUTS)
def test_no_date_or_time_is_the_clocks(kind: str) -> None:
    read = pydicom.dcmread(BytesIO(dicom_file(kind, findings_by_hand(), full_header())))
    moments = {str(item.value) for item in read.iterall() if item.VR in ("DA", "TM", "DT")}
    assert moments == {"19600229", "20230405", "081500", "081702.250"}


def test_instances_and_series_are_all_different() -> None:
    made = [dicom_result(kind, findings_by_hand(), full_header()) for kind in OUTPUTS]
    other = full_header(SOPInstanceUID="1.2.3.4")
    made += [dicom_result(kind, findings_by_hand(), other) for kind in OUTPUTS]
    uids = [each.SOPInstanceUID for each in made] + [each.SeriesInstanceUID for each in made]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in uids)


@pytest.mark.parametrize(
    "changed",
    [
        findings_by_hand(model=replace(MODEL, name="other")),
        findings_by_hand(model=replace(MODEL, version="1.2.4")),
        findings_by_hand(model=replace(MODEL, sha256="f" * 64)),
        findings_by_hand(pixel_digest="f" * 64),
        findings_by_hand(pixel_spacing_mm=None),
        findings_by_hand(pixel_spacing_mm=(0.1, 0.11)),
    ],
)
def test_what_changes_the_content_changes_the_uid(changed: Findings) -> None:
    assert instance_uid(changed) != instance_uid(findings_by_hand())


def test_showing_the_mask_in_spite_of_the_decision_is_another_object() -> None:
    gated, ungated = findings_by_hand(score=NO), findings_by_hand(score=NO, gate=False)
    assert instance_uid(gated) != instance_uid(ungated)
    assert instance_uid(findings_by_hand(gate=False)) == instance_uid(findings_by_hand())


def test_the_score_does_not_name_an_object() -> None:
    # Devices differ in the last digits; the same image must not be filed twice for that.
    above, below = findings_by_hand(score=0.5001), findings_by_hand(score=0.4999)
    assert instance_uid(above) == instance_uid(below)


def test_another_release_of_the_service_writes_other_objects() -> None:
    now = identity.Origin("1.2.3", None, MODEL, None)
    assert now.service_version == __version__
    assert replace(now, service_version="9.9.9").uid("sr") != now.uid("sr")


def test_uids_stay_what_they_are() -> None:
    # Changing how names are made would file every known result a second time.
    assert identity.named_uid("a", "b") == "2.25.135800665857141478627184154717225212219"


def test_a_finding_is_tracked_by_one_uid_in_every_object() -> None:
    tracked = []
    for kind in ("seg", "sr", "cad-sr", "gsps"):
        made = dicom_result(kind, findings_by_hand(), full_header())
        found = {
            str(item.value)
            for item in made.iterall()
            if item.keyword in ("TrackingUID", "UID") and str(item.value).startswith("2.25.")
        }
        tracked.append(found)
    assert len(set.intersection(*tracked)) == 2
