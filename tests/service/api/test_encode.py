import email
import email.policy
import io
from typing import Any

import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient

from service.api.encode import picture_side
from service.findings import Findings
from service.imaging.mammogram import Mammogram
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.outputs.dicom.registry import OUTPUTS
from service.outputs.forms import Form
from service.outputs.result import Render
from service.segmenter import Segmenter
from tests.dicom_files import dicom_file, multi_frame_file
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.integration

DICOM = {"Content-Type": "application/dicom"}
UIDS: dict[str, Any] = {"StudyInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3.4.5"}


def mammogram(**elements: Any) -> bytes:
    stored = breast_phantom().astype(np.int32) * 16
    spacing = {"ImagerPixelSpacing": [1.0, 1.0], "PixelSpacing": None}
    return dicom_file(stored, **{"PatientID": "42", **spacing, **UIDS, **elements})


@pytest.mark.parametrize(
    ("forms", "renders", "side"),
    (
        (("json",), set(), 0),
        (("json",), {"mask", "heatmap"}, 0),
        (("json",), {"overlay"}, 700),
        (("mask",), set(), 0),
        (("heatmap",), set(), 0),
        (("overlay",), set(), 700),
        (("seg", "sr"), set(), 0),
        (("sr", "sc"), set(), WHOLE_PICTURE),
        (("image",), set(), WHOLE_PICTURE),
        (("json", "probability"), set(), 0),
        (("json", "image", "overlay"), {"overlay"}, WHOLE_PICTURE),
    ),
)
def test_how_large_a_picture_of_the_image_is_made(
    forms: tuple[Form, ...], renders: set[Render], side: int
) -> None:
    assert picture_side(forms, renders, 700) == side


WISHED = (
    ("output=json", 0),
    ("output=overlay", 1024),
    ("output=overlay&max_side=300", 300),
    ("include=overlay&max_side=3000", 3000),
    ("output=sc", WHOLE_PICTURE),
)


@pytest.mark.parametrize(("query", "side"), WISHED)
def test_the_segmenter_is_told_of_it(
    client: TestClient, query: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def spy(mammogram: Mammogram, picture_side: int | None) -> bool:
        told.append(picture_side)
        return True

    monkeypatch.setattr("service.segmenter._shows_enough", spy)
    answer = client.post(f"/v1/segment?{query}", content=mammogram(), headers=DICOM)
    assert answer.status_code == 200, answer.text
    assert told == [side]


@pytest.mark.parametrize(
    ("query", "accept", "wanted"),
    [
        ("", "*/*", False),
        ("?output=json,mask,overlay", "*/*", False),
        ("?output=json,seg", "*/*", True),
        ("?output=sr", "*/*", True),
        ("", "application/dicom", True),
        ("", "application/dicom, application/json;q=0.5", True),
    ],
)
def test_pixel_data_is_digested_for_objects_alone(
    client: TestClient, query: str, accept: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    segment = Segmenter.segment

    def spy(self: Segmenter, *given: Any, **how: Any) -> Findings:
        findings = segment(self, *given, **how)
        told.append(findings.mammogram.pixel_digest is not None)
        return findings

    monkeypatch.setattr(Segmenter, "segment", spy)
    headers = DICOM | {"Accept": accept}
    assert client.post(f"/v1/segment{query}", content=mammogram(), headers=headers).is_success
    assert told == [wanted]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_dicom_objects_come_over_http(client: TestClient, kind: str) -> None:
    source = mammogram()
    answer = client.post(f"/v1/segment?output={kind}&gate=false", content=source, headers=DICOM)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/dicom"
    assert answer.headers["Mammoseg-Has-Mask"] in ("yes", "no")
    result = pydicom.dcmread(io.BytesIO(answer.content))
    assert result.StudyInstanceUID == "1.2.3.4"
    assert result.PatientID == "42"
    again = client.post(f"/v1/segment?output={kind}&gate=false", content=source, headers=DICOM)
    assert again.content == answer.content


def test_several_objects_come_in_one_answer_as_they_come_alone(client: TestClient) -> None:
    kinds = ["sr", "seg", "sc"]
    answer = client.post(f"/v1/segment?output={','.join(kinds)}", content=mammogram())
    assert answer.headers["Content-Type"].startswith('multipart/related; type="application/dicom"')
    message = email.message_from_bytes(
        b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.content,
        policy=email.policy.HTTP,
    )
    parts = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
    assert len(parts) == 3
    for kind, part in zip(kinds, parts, strict=True):
        alone = client.post(f"/v1/segment?output={kind}", content=mammogram())
        assert part == alone.content


def test_the_segmentation_is_the_mask(client: TestClient) -> None:
    source = mammogram()
    accept = DICOM | {"Accept": "application/dicom"}
    answer = client.post("/v1/segment?gate=false", content=source, headers=accept)
    frames = pydicom.dcmread(io.BytesIO(answer.content)).pixel_array.reshape(-1, 240, 160)
    expected = np.zeros((240, 160), np.bool_)
    expected[60:90, 30:70] = True
    np.testing.assert_array_equal(frames.any(axis=0), expected)


def test_what_is_no_dicom_image_has_no_dicom_result(client: TestClient, phantom_png: bytes) -> None:
    png = {"Content-Type": "image/png"}
    answer = client.post("/v1/segment?output=sr", content=phantom_png, headers=png)
    assert (answer.status_code, answer.json()["code"]) == (406, "output")


@pytest.mark.parametrize("missing", [*UIDS, "PatientID"])
def test_a_header_that_names_nothing_is_refused(client: TestClient, missing: str) -> None:
    body = mammogram(**{missing: "not valid\\" if missing == "PatientID" else "1.2.x"})
    answer = client.post("/v1/segment?output=sr", content=body, headers=DICOM)
    assert answer.status_code == 406
    assert answer.json()["code"] in ("source-uids", "source-patient-id")
    assert client.post("/v1/segment", content=body, headers=DICOM).status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/dicom, application/json;q=0.5", "application/json"),
        ("application/dicom, image/png;q=0.5", "image/png"),
        ("application/dicom", None),
        ("application/dicom, application/json;q=0", None),
    ],
)
def test_what_is_accepted_next_is_given_of_a_header_that_names_nothing(
    client: TestClient, accept: str, media_type: str | None
) -> None:
    headers = DICOM | {"Accept": accept}
    whole = client.post("/v1/segment", content=mammogram(), headers=headers)
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "application/dicom")
    body = mammogram(StudyInstanceUID="1.2.x")
    answer = client.post("/v1/segment", content=body, headers=headers)
    if media_type is None:
        assert (answer.status_code, answer.json()["code"]) == (406, "source-uids")
    else:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    named = client.post("/v1/segment?output=seg", content=body, headers=headers)
    assert (named.status_code, named.json()["code"]) == (406, "source-uids")


@pytest.mark.parametrize("kind", OUTPUTS)
def test_one_frame_of_several_is_referred_to_by_its_number(client: TestClient, kind: str) -> None:
    stored = breast_phantom().astype(np.int32) * 16
    body = multi_frame_file([stored, stored], PatientID="42", **UIDS)
    uids = set()
    for frame in (1, 2):
        url = f"/v1/segment?output={kind}&frame={frame}&gate=false"
        answer = client.post(url, content=body, headers=DICOM)
        assert answer.status_code == 200, answer.text
        result = pydicom.dcmread(io.BytesIO(answer.content))
        named = {
            item.ReferencedFrameNumber
            for element in result.iterall()
            if element.VR == "SQ"
            for item in element.value
            if "ReferencedFrameNumber" in item
        }
        assert named == {frame}
        uids.add(result.SOPInstanceUID)
    assert len(uids) == 2
