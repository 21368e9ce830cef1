"""Several images of one study over HTTP."""

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient

from service.api.segmentation import Segmentation
from service.api.studies import MAX_IMAGES
from service.app import create_app
from service.cancellation import CancelToken
from service.errors import PASSING_CODES, UnsuitableImage
from service.imaging.mammogram import Mammogram
from service.reading.reader import ReadRequest
from service.settings import Settings
from service.startup.models import open_model
from tests.dicom_files import dicom_file, multi_frame_file
from tests.identity_net import write_scored_net
from tests.service.api.conftest import breast_phantom, opened

pytestmark = pytest.mark.integration

URL = "/v1/studies?pixel_spacing_mm=1"
STUDY: dict[str, Any] = {
    "PatientID": "42",
    "StudyInstanceUID": "1.2.3.4",
    "SeriesInstanceUID": "1.2.3.4.5",
}


def view(side: str, position: str, bright: bool = True, **elements: Any) -> bytes:
    """Make a view that the net of these tests gives a high score, or a black one of a low score."""
    phantom = breast_phantom().astype(np.int32) * bright
    number = sum(f"{side}{position}{bright}".encode())
    made = STUDY | {"SOPInstanceUID": f"1.2.3.4.5.{number}", "ImageLaterality": side}
    made |= {"ViewPosition": position}
    return dicom_file(phantom, bits_stored=8, bits_allocated=8, **(made | elements))


def four() -> list[bytes]:
    return [view("R", "CC", False), view("L", "CC"), view("R", "MLO"), view("L", "MLO")]


def post(client: TestClient, files: list[bytes], url: str = URL) -> httpx2.Response:
    parts = [(f"file{number}", ("a.dcm", file)) for number, file in enumerate(files)]
    return client.post(url, files=parts)


def test_each_image_is_answered_as_it_is_alone(client: TestClient) -> None:
    answer = post(client, four())
    assert answer.status_code == 200, answer.text
    entries = answer.json()["images"]
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3]
    for entry, file in zip(entries, four(), strict=True):
        alone = client.post("/v1/segment?pixel_spacing_mm=1", content=file).json()
        assert entry["problem"] is None
        assert entry["result"] | {"timing_ms": {}} == alone | {"timing_ms": {}}


def test_scores_are_means_of_views(client: TestClient) -> None:
    answer = post(client, four()).json()
    scores = [entry["result"]["has_mask"]["score"] for entry in answer["images"]]
    assert scores[0] < 0.2 < 0.8 < scores[1]
    study = answer["study"]
    assert study["score"] == pytest.approx(sum(scores) / 4, abs=1e-6)
    right, left = study["breasts"]
    assert right["score"] == pytest.approx((scores[0] + scores[2]) / 2, abs=1e-6)
    assert left["score"] == pytest.approx((scores[1] + scores[3]) / 2, abs=1e-6)
    assert (right["laterality"], left["laterality"]) == ("R", "L")
    assert (study["missing_views"], answer["warnings"]) == ([], [])


def test_a_spot_view_is_said_and_its_screening_view_is_missing(client: TestClient) -> None:
    modifier, code = pydicom.Dataset(), pydicom.Dataset()
    modifier.CodeValue, modifier.CodingSchemeDesignator = "399055006", "SCT"
    code.CodeValue, code.CodingSchemeDesignator = "399162004", "SCT"
    code.ViewModifierCodeSequence = [modifier]
    spot = view("R", "CC", False, ViewCodeSequence=[code])
    answer = post(client, [spot, *four()[1:]]).json()
    assert [warning["code"] for warning in answer["warnings"]] == ["special-views"]
    assert answer["study"]["missing_views"] == ["RCC"]


@pytest.mark.parametrize("code", sorted(PASSING_CODES))
def test_what_may_pass_makes_no_score_of_a_part(
    client: TestClient, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = opened(client).models.reader
    read, times = reader.read, iter(range(4))

    def late(request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
        if next(times) == 2:
            raise UnsuitableImage(code, "The image takes too long to read.")
        return read(request, token)

    monkeypatch.setattr(reader, "read", late)
    answer = post(client, four())
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_all_images_of_a_study_are_judged_by_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = write_scored_net(tmp_path / "net.onnx", 2.0)
    with TestClient(create_app(Settings(model=net, device="cpu"))) as client:
        served = opened(client).models.default
        write_scored_net(net, -2.0, "0.0.2")
        newer, times = open_model(net), iter(range(9))
        segment = Segmentation.findings

        def replacing(self: Segmentation, *given: Any) -> Any:
            if next(times) == 2:
                served.replace(newer)
            return segment(self, *given)

        monkeypatch.setattr(Segmentation, "findings", replacing)
        images = post(client, four()).json()["images"]
        assert {one["result"]["model"]["version"] for one in images} == {"0.0.1"}
        images = post(client, four()).json()["images"]
        assert {one["result"]["model"]["version"] for one in images} == {"0.0.2"}


def test_one_that_is_refused_does_not_spoil_the_rest(client: TestClient) -> None:
    bad = [b"no image", b"", multi_frame_file([np.zeros((9, 9), np.int32)] * 2, **STUDY)]
    bad.append(view("R", "CC", Modality="CT"))
    answer = post(client, [*bad, *four()[1:]]).json()
    codes = [entry["problem"] and entry["problem"]["code"] for entry in answer["images"]]
    assert codes == [
        "not-dicom",
        "empty-body",
        "multi-frame",
        "modality-not-accepted",
        None,
        None,
        None,
    ]
    assert answer["images"][0]["problem"]["status"] == 400
    assert answer["study"]["images"] == [4, 5, 6]
    assert answer["study"]["missing_views"] == ["RCC"]
    assert "images-refused" in [warning["code"] for warning in answer["warnings"]]


def test_repeats_and_unknown_views_are_said(client: TestClient) -> None:
    files = [view("L", "CC"), view("L", "CC", False), view("L", "", ViewPosition=None)]
    answer = post(client, files).json()
    codes = [warning["code"] for warning in answer["warnings"]]
    assert codes == ["view-repeated", "view-unknown"]
    assert [part["images"] for part in answer["study"]["breasts"][0]["views"]] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [("PatientID", "43", "several-patients"), ("StudyInstanceUID", "1.9", "several-studies")],
)
def test_images_of_two_are_refused_and_whose_they_are_is_not_said(
    client: TestClient, keyword: str, value: str, code: str
) -> None:
    answer = post(client, [view("L", "CC"), view("L", "MLO", True, **{keyword: value})])
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "1.9" not in answer.text and "43" not in answer.json()["detail"]


def test_ids_that_cannot_be_decoded_are_told_apart_by_their_bytes(client: TestClient) -> None:
    # In UTF-8 both decode to a replacement character and a digit.
    said = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "##42"}
    file = view("L", "CC", True, **said)
    one, other = file.replace(b"##42", b"\xfc\xfc42"), file.replace(b"##42", b"\xe4\xe442")
    assert post(client, [one, other]).json()["code"] == "several-patients"
    assert post(client, [one, one]).status_code == 200


def test_pictures_are_taken_at_their_word(client: TestClient, phantom_png: bytes) -> None:
    answer = post(client, [phantom_png, view("L", "CC")])
    assert answer.status_code == 200
    assert [each["code"] for each in answer.json()["warnings"]] == [
        "patient-unchecked",
        "view-unknown",
    ]


def test_multipart_related_and_a_forms_field(client: TestClient) -> None:
    mark = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"\r\n".join(mark + file for file in four()) + b"\r\n--x--\r\n"
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    related = client.post(URL, content=body, headers=kind).json()
    assert len(related["study"]["images"]) == 4
    form = client.post(
        "/v1/studies", files=[("f", ("a", view("L", "CC")))], data={"pixel_spacing_mm": "0.5"}
    )
    assert form.json()["images"][0]["result"]["image"]["pixel_spacing_mm"] == [0.5, 0.5]


@pytest.mark.parametrize("count", [0, MAX_IMAGES + 1])
def test_none_or_too_many(client: TestClient, count: int) -> None:
    answer = client.post(
        URL, files=[(f"f{n}", ("a", b"x")) for n in range(count)] or {"note": (None, "text")}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "files")


def test_a_single_file_that_is_no_form_is_refused(client: TestClient) -> None:
    answer = client.post(
        URL, content=view("L", "CC"), headers={"Content-Type": "application/dicom"}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "media-type")


def test_the_views_of_a_cbis_patient(client: TestClient, cbis_files: list[Path]) -> None:
    case = [file for file in cbis_files if file.parent == cbis_files[0].parent]
    # Its four views say four patients and four studies.
    assert post(client, [file.read_bytes() for file in case]).status_code in (413, 422)
    files = []
    for file in case:
        image = pydicom.dcmread(file)
        image.PatientID, image.StudyInstanceUID = "42", "1.2.3.4"
        # Small, or the bodies of this small service cannot hold them.
        small = np.ascontiguousarray(image.pixel_array[::8, ::8])
        image.Rows, image.Columns = small.shape
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image["PixelData"].is_undefined_length = False
        image.PixelData = small.tobytes()
        sink = BytesIO()
        image.save_as(sink)
        files.append(sink.getvalue())
    answer = post(client, files, "/v1/studies").json()
    assert answer["study"]["missing_views"] == []
    assert {breast["laterality"] for breast in answer["study"]["breasts"]} == {"L", "R"}
    assert answer["study"]["images"] == [0, 1, 2, 3]
