"""Forms that a viewer draws from, alone and several at once."""

import email
import email.policy
import json
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from tests.dicom_files import dicom_file
from tests.service.api.conftest import breast_phantom
from tests.service.api.test_segment import PNG, SPACED, decode_rle

pytestmark = pytest.mark.integration


def parts(answer: Any) -> dict[str, Any]:
    """Take a multipart/form-data answer apart as any mail reader would."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in message.iter_parts()
    }


def picture(png: bytes) -> NDArray[np.uint16]:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED))


def test_the_image_comes_as_it_is_displayed_on_the_sources_own_grid(client: TestClient) -> None:
    ramp = np.arange(300 * 200, dtype=np.int32).reshape(300, 200) % 4096
    source = dicom_file(ramp, ImagerPixelSpacing=[1.0, 1.0], PixelSpacing=None)
    answer = client.post(
        "/v1/segment?output=image", content=source, headers={"Content-Type": "application/dicom"}
    )
    assert answer.status_code == 200, answer.text
    shown = picture(answer.content)
    assert (shown.shape, shown.dtype) == ((300, 200), np.uint16)
    # Brighter where stored values are larger, and as many greys as the file has: not 256.
    assert (np.diff(shown[0].astype(int)) >= 0).all()
    assert len(np.unique(shown)) > 256


def test_the_probability_map_cut_at_the_threshold_is_the_mask(
    client: TestClient, phantom_png: bytes
) -> None:
    answer = client.post(f"{SPACED}&output=json,probability", content=phantom_png, headers=PNG)
    files = parts(answer)
    result, levels = json.loads(files["json"]), picture(files["probability"])
    place = result["probability_map"]
    assert levels.dtype == np.uint16
    assert list(levels.shape) == place["size"]
    left, top, width, height = place["bbox"]
    enlarged = cv2.resize(levels.astype(np.float32) / 65535, (width, height))
    threshold = client.get("/v1/model").json()["contract"]["operating_point"]["mask"]
    cut = np.zeros((240, 160), np.bool_)
    cut[top : top + height, left : left + width] = enlarged >= threshold
    np.testing.assert_array_equal(cut, decode_rle(result["mask"]))


def test_the_smallest_region_is_told_in_pixels_where_millimetres_are_not(
    client: TestClient, phantom_png: bytes
) -> None:
    minimum = client.get("/v1/model").json()["contract"]["operating_point"]["minimum_region_mm2"]
    told = client.post(SPACED, content=phantom_png, headers=PNG).json()["probability_map"]
    assert told["minimum_region_pixels"] == minimum
    # 240 pixels are taken as 240 mm.
    told = client.post("/v1/segment", content=phantom_png, headers=PNG).json()["probability_map"]
    assert told["minimum_region_pixels"] == pytest.approx(minimum)


def test_the_activation_lies_on_the_grid_of_the_probability(
    client: TestClient, phantom_png: bytes
) -> None:
    answer = client.post(
        f"{SPACED}&output=json,probability,activation", content=phantom_png, headers=PNG
    )
    files = parts(answer)
    activation, probability = picture(files["activation"]), picture(files["probability"])
    assert (activation.dtype, activation.shape) == (np.uint16, probability.shape)
    # The net of this test pools what lies under the lesion: that is where its activation is.
    assert activation[probability > 60000].mean() > activation[probability < 1000].mean()


def test_several_forms_are_the_same_as_each_alone(client: TestClient) -> None:
    uids: dict[str, Any] = {
        "StudyInstanceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3.4.5",
        "PatientID": "42",
    }
    stored = breast_phantom().astype(np.int32) * 16
    source = dicom_file(stored, ImagerPixelSpacing=[1.0, 1.0], PixelSpacing=None, **uids)
    dicom = {"Content-Type": "application/dicom"}
    forms = ("json", "mask", "overlay", "heatmap", "image", "seg", "sr")
    answer = client.post(f"/v1/segment?output={','.join(forms)}", content=source, headers=dicom)
    assert answer.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert answer.headers["mammoseg-gated"] in ("yes", "no")
    files = parts(answer)
    assert tuple(files) == forms
    for form in forms[1:]:
        alone = client.post(f"/v1/segment?output={form}", content=source, headers=dicom)
        assert files[form] == alone.content, form


def test_a_dicom_object_of_a_png_is_refused_among_other_forms_too(
    client: TestClient, phantom_png: bytes
) -> None:
    answer = client.post(f"{SPACED}&output=json,seg", content=phantom_png, headers=PNG)
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
    assert client.post(f"{SPACED}&output=json,mask", content=phantom_png, headers=PNG).is_success
