"""The service as its users meet it: a process, a port, real files."""

import io
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import RLELossless

from tests import http_client
from tests.e2e.conftest import Service, serving, serving_by_command
from tests.identity_net import write_identity_net
from tests.waiting import HANG_S

pytestmark = pytest.mark.e2e

DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture(scope="session")
def service(bundled_service: Service) -> Service:
    return bundled_service


def post(service: Service, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    return http_client.post(
        f"{service.url}/v1/segment{query}", content=body, headers=DICOM | headers, timeout=60
    )


def test_every_cbis_view_is_answered(service: Service, cbis_files: list[Path]) -> None:
    views = set()
    for file in cbis_files:
        answer = post(service, file.read_bytes())
        assert answer.status_code == 200, answer.text
        result = answer.json()
        header = pydicom.dcmread(file, stop_before_pixels=True)
        image = result["image"]
        assert (image["rows"], image["columns"]) == (header.Rows, header.Columns)
        assert image["sop_instance_uid"] == header.SOPInstanceUID
        assert (image["intent"], image["pixel_spacing_mm"]) == ("film", None)
        assert "spacing-assumed" in [warning["code"] for warning in result["warnings"]]
        assert 0.0 <= result["has_mask"]["score"] <= 1.0
        assert sum(result["mask"]["counts"]) == header.Rows * header.Columns
        views.add((file.parent.name, image["laterality"], image["view_position"]))
    assert len(views) == len(cbis_files) == 8


def test_a_png_of_the_same_view_gives_the_same_answer(
    service: Service, cbis_files: list[Path]
) -> None:
    pixels = pydicom.dcmread(cbis_files[0]).pixel_array
    png = bytes(cv2.imencode(".png", pixels)[1])
    of_dicom = post(service, cbis_files[0].read_bytes()).json()
    of_png = post(service, png, **{"Content-Type": "image/png"}).json()
    assert of_png["has_mask"]["score"] == pytest.approx(of_dicom["has_mask"]["score"], abs=0.005)
    assert of_png["image"]["intent"] == "unstated"


def test_the_mask_lies_on_the_source_grid(service: Service, cbis_files: list[Path]) -> None:
    file = cbis_files[-1]
    header = pydicom.dcmread(file, stop_before_pixels=True)
    answer = post(service, file.read_bytes(), "?output=mask&gate=false")
    mask = Image.open(io.BytesIO(answer.content))
    assert (mask.mode, mask.size) == ("1", (header.Columns, header.Rows))
    overlay = Image.open(
        io.BytesIO(post(service, file.read_bytes(), "?output=overlay&max_side=512").content)
    )
    assert (overlay.mode, max(overlay.size)) == ("RGB", 512)


def variant(file: Path, **changes: object) -> bytes:
    """Return a CBIS file with some header elements changed."""
    dataset = pydicom.dcmread(file)
    for name, value in changes.items():
        setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def hostile_bodies(file: Path) -> dict[str, tuple[bytes, int]]:
    whole = file.read_bytes()
    unknown = whole.replace(RLELossless.encode() + b"\0", b"1.2.840.10008.1.2.9\0", 1)
    assert unknown != whole
    return {
        "empty": (b"", 400),
        "text": (b"Dear radiologist, please find attached" * 10, 400),
        "truncated": (whole[: len(whole) // 2], 400),
        "header only": (whole[:2000], 400),
        "ct": (variant(file, Modality="CT"), 422),
        "tomosynthesis": (
            variant(file, NumberOfFrames="50", SOPClassUID="1.2.840.10008.5.1.4.1.1.13.1.3"),
            422,
        ),
        "65535 squared": (variant(file, Rows=65535, Columns=65535), 413),
        "unknown syntax": (unknown, 415),
    }


def test_bad_input_gets_its_problem_and_the_next_good_request_succeeds(
    service: Service, cbis_files: list[Path]
) -> None:
    good = cbis_files[0].read_bytes()
    for name, (body, status) in hostile_bodies(cbis_files[0]).items():
        answer = post(service, body)
        assert answer.status_code == status, (name, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["code"].replace("-", "").isalnum()
        assert "Error" not in problem["detail"] and "Traceback" not in problem["detail"]
        assert post(service, good).status_code == 200, name


def test_health_answers_while_an_image_is_processed(
    service: Service, cbis_files: list[Path]
) -> None:
    body = cbis_files[0].read_bytes()
    statuses: list[int] = []
    posts = [
        threading.Thread(target=lambda: statuses.append(post(service, body).status_code))
        for _ in range(4)
    ]
    for thread in posts:
        thread.start()
    answered_meanwhile = 0
    while any(thread.is_alive() for thread in posts):
        http_client.get(f"{service.url}/health/live", timeout=HANG_S).raise_for_status()
        answered_meanwhile += any(thread.is_alive() for thread in posts)
        time.sleep(0.01)
    assert statuses == [200] * 4
    assert answered_meanwhile >= 3


def test_logs_and_metrics_hold_nothing_of_the_patient(
    service: Service, cbis_files: list[Path]
) -> None:
    canary = "MUSTERMANN^ERIKA"
    body = variant(cbis_files[0], PatientName=canary, PatientID=canary, StudyDescription=canary)
    answer = post(service, body, **{"X-Patient": canary})
    assert answer.status_code == 200
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    http_client.get(f"{service.url}/MUSTERMANN?name=MUSTERMANN", headers=upgrade | key)
    broken = post(service, body[:50_000])
    assert broken.json()["code"] != "output"
    for text in (
        answer.text,
        broken.text,
        service.log.read_text(),
        http_client.get(f"{service.url}/metrics").text,
    ):
        assert "MUSTERMANN" not in text
        assert "Mass-Test" not in text
    assert '"event": "request"' in service.log.read_text()


def test_sigterm_finishes_what_was_accepted(tmp_path: Path, cbis_files: list[Path]) -> None:
    body = cbis_files[0].read_bytes()
    statuses: list[int] = []
    with serving_by_command(tmp_path) as service:
        caller = threading.Thread(target=lambda: statuses.append(post(service, body).status_code))
        caller.start()
        while "mammoseg_in_flight 1.0" not in http_client.get(f"{service.url}/metrics").text:
            assert caller.is_alive()
        service.process.send_signal(signal.SIGTERM)
        caller.join()
        # Uvicorn ends by the signal it was given, once all is done.
        assert service.process.wait(timeout=HANG_S) in (0, -signal.SIGTERM)
    assert statuses == [200]
    events = [json.loads(line)["event"] for line in service.log.read_text().splitlines()]
    assert "stopped" in events


@pytest.fixture(scope="module")
def letting_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes other modalities, too."""
    folder = tmp_path_factory.mktemp("modalities")
    model = write_identity_net(folder / "identity.onnx")
    with serving(folder, model=str(model), accept_modalities="MG, CR,RG") as service:
        yield service


def test_a_modality_can_be_let_in_by_the_operator(
    letting_in: Service, cbis_files: list[Path]
) -> None:
    assert post(letting_in, variant(cbis_files[0], Modality="CR")).status_code == 200


def test_the_wg04_film_is_read(letting_in: Service, shared_data: Path) -> None:
    body = (shared_data / "dicom" / "MG1_J2KI.dcm").read_bytes()
    result = post(letting_in, body).json()
    assert result["image"]["laterality"] == "L"
    assert result["image"]["view_position"] == "MLO"


def test_two_posts_of_one_file_are_one_answer(service: Service, cbis_files: list[Path]) -> None:
    body = cbis_files[3].read_bytes()
    first, second = (post(service, body, "?output=overlay").content for _ in range(2))
    one, other = (cv2.imdecode(np.frombuffer(png, np.uint8), 1) for png in (first, second))
    np.testing.assert_array_equal(one, other)
