import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.inbox.inbox import Inbox
from service.settings import Settings
from tests.service.api.conftest import opened
from tests.service.inbox.conftest import STUDY, mammogram
from tests.stow_server import StowServer, failed, stow_server
from tests.waiting import comes_true

pytestmark = pytest.mark.integration

URL = "/dicom-web/studies"
RELATED = 'multipart/related; type="application/dicom"; boundary="b"'


@pytest.fixture(scope="module")
def pacs() -> Iterator[StowServer]:
    """A destination that is never there for us: what is received stays to be looked at."""
    with stow_server() as server:
        server.reply = lambda uid, times: failed(uid, 0xA700)
        yield server


@pytest.fixture(scope="module")
def client(
    pacs: StowServer, identity_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    settings = Settings(
        model=identity_model,
        device="cpu",
        readers=1,
        max_body_mib=1,
        max_study_mib=2,
        max_study_instances=5,
        inbox=tmp_path_factory.mktemp("inbox"),
        destinations=pacs.url,
        inbox_keep_files=True,
    )
    with TestClient(create_app(settings)) as client:
        yield client


def related(*files: bytes, boundary: str = "b", part_type: str = "application/dicom") -> bytes:
    head = f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()


def post(client: TestClient, body: bytes, path: str = URL, **headers: str) -> httpx2.Response:
    return client.post(path, content=body, headers={"Content-Type": RELATED} | headers)


def uids(answer: httpx2.Response, tag: str) -> list[str]:
    sequence = answer.json().get(tag, {"Value": []})
    return [item["00081155"]["Value"][0] for item in sequence["Value"]]


def reasons(answer: httpx2.Response, sequence: str, tag: str) -> list[int]:
    items = answer.json().get(sequence, {"Value": []})["Value"]
    return [item[tag]["Value"][0] for item in items]


def inbox_of(client: TestClient) -> Inbox:
    worker = opened(client).inbox_worker
    assert worker is not None
    return worker.inbox


def kept(client: TestClient, number: int) -> bytes:
    inbox = inbox_of(client)
    (entry,) = (
        entry
        for entry in inbox.instances.entries(None, 1000)
        if entry.sop_instance_uid == f"{STUDY}.1.{number}"
    )
    return bytes(inbox.files.source(entry.digest).read_bytes())


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary="b"',
        "multipart/related; type=application/dicom; boundary=b",
        "multipart/related;boundary=b;type=application/dicom",
        'Multipart/Related; Boundary="b"; start="<1>"; TYPE="Application/DICOM"',
        "multipart/related; boundary=b",
    ],
)
def test_parameters_may_be_quoted_or_not(client: TestClient, content_type: str) -> None:
    answer = post(client, related(mammogram(1)), **{"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    assert uids(answer, "00081199") == [f"{STUDY}.1.1"]
    assert "00081198" not in answer.json()


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n--", b"\r\n--a", b"--"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_payloads_stay_byte_exact_however_they_end_and_are_cut(
    client: TestClient, end: bytes, size: int
) -> None:
    number = 100 + 10 * size + len(end) + sum(end)
    # A private element at the end, padded to an even length: its value ends the file.
    pixels = b"\r\n--b" + b"x" * (len(end) % 2) + end
    file = mammogram(number, pixel_data=b"\0" * 8064 + b"x" * (len(pixels) % 2) + pixels)
    boundary = "b-is-not-the-boundary"
    body = related(file, boundary=boundary)
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    answer = client.post(
        URL, content=chunks, headers={"Content-Type": f"multipart/related; boundary={boundary}"}
    )
    assert answer.status_code == 200, answer.text
    assert file.endswith(end) and kept(client, number) == file


def test_a_gzipped_body_is_undone(client: TestClient) -> None:
    body = gzip.compress(related(mammogram(20), mammogram(21)))
    answer = post(client, body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, len(uids(answer, "00081199"))) == (200, 2)
    assert kept(client, 21) == mammogram(21)


def test_a_part_that_fails_is_told_apart(client: TestClient) -> None:
    bad = mammogram(31).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1)
    answer = post(
        client,
        related(mammogram(30), b"no DICOM", mammogram(32, StudyInstanceUID="1.2.9"), bad),
        f"{URL}/{STUDY}",
    )
    assert answer.status_code == 202
    assert uids(answer, "00081199") == [f"{STUDY}.1.30"]
    assert uids(answer, "00081198") == [f"{STUDY}.1.32"]
    assert reasons(answer, "00081198", "00081197") == [0xA901]
    # What has no UIDs that can be told has a sequence of its own.
    assert reasons(answer, "0008119A", "00081197") == [0xC000, 0xC122]


def test_all_parts_failing_is_a_conflict(client: TestClient) -> None:
    answer = post(client, related(mammogram(40), mammogram(41)), f"{URL}/1.2.9")
    assert answer.status_code == 409
    assert reasons(answer, "00081198", "00081197") == [0xA901, 0xA901]
    assert "00081199" not in answer.json()


def test_other_contents_of_a_known_uid_are_a_warning(client: TestClient) -> None:
    assert post(client, related(mammogram(50))).status_code == 200
    answer = post(client, related(mammogram(50, PatientID="other")))
    assert answer.status_code == 202
    assert reasons(answer, "00081199", "00081196") == [0xB006]


def test_a_part_of_another_type_fails(client: TestClient) -> None:
    answer = post(client, related(mammogram(60), part_type="application/dicom+json"))
    assert answer.status_code == 409
    assert reasons(answer, "0008119A", "00081197") == [0xC000]


def test_an_instance_that_is_too_large_fails_and_the_next_is_taken(client: TestClient) -> None:
    answer = post(client, related(mammogram(70) + bytes(2**20), mammogram(71)))
    assert (answer.status_code, uids(answer, "00081199")) == (202, [f"{STUDY}.1.71"])
    assert reasons(answer, "0008119A", "00081197") == [0xA700]


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (b"", RELATED, (400, "multipart-broken")),
        (b"--b--\r\n", RELATED, (400, "no-instances")),
        (related(mammogram(80))[:-9], RELATED, (400, "multipart-broken")),
        (related(mammogram(80)), 'multipart/related; type="application/dicom"', (400, None)),
        (related(*[mammogram(80)] * 6), RELATED, (400, "too-many-parts")),
        (related(mammogram(80)), "multipart/form-data; boundary=b", (415, "media-type")),
        (mammogram(80), "application/dicom", (415, "media-type")),
        (
            related(mammogram(80)),
            'multipart/related; type="application/dicom+json"; boundary=b',
            (415, "media-type"),
        ),
        (related(*[mammogram(80) + bytes(2**20)] * 3), RELATED, (413, "body-too-large")),
    ],
)
def test_a_body_that_is_wrong_as_a_whole_is_a_problem_and_leaves_nothing(
    client: TestClient, body: bytes, content_type: str, problem: tuple[int, str | None]
) -> None:
    answer = post(client, body, **{"Content-Type": content_type})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == problem[0]
    assert answer.json()["code"] == (problem[1] or "multipart-broken")
    inbox = inbox_of(client)
    # What earlier instances came to is written there too, for a moment.
    assert comes_true(lambda: not list(inbox.files.incoming.iterdir()))
    assert f"{STUDY}.1.80" not in {
        entry.sop_instance_uid for entry in inbox.instances.entries(None, 1000)
    }


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        (86, b"--b\r\n", b"An export.\r\n--b\r\n"),
        (87, b"--b\r\n", b"--b \t\r\n"),
        (88, b"Content-Type: application", b"Content-Type:\r\n\tapplication"),
    ],
)
def test_a_body_is_read_by_the_grammar_of_its_boundaries(
    client: TestClient, number: int, old: bytes, new: bytes
) -> None:
    body = related(mammogram(number))
    assert old in body
    answer = post(client, body.replace(old, new, 1))
    assert (answer.status_code, uids(answer, "00081199")) == (200, [f"{STUDY}.1.{number}"])


@pytest.mark.parametrize("study", ["Mustermann", "1.2.x", "1..2", "1." * 40 + "1", "1.2%0d%0aX"])
def test_a_study_that_is_no_uid_is_refused(client: TestClient, study: str) -> None:
    answer = post(client, related(mammogram(90)), f"{URL}/{study}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert study not in answer.text


def test_a_full_inbox_is_busy(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = inbox_of(client)._quota
    monkeypatch.setattr(quota, "_capacity", 2**20)
    answer = post(client, related(mammogram(95)))
    assert (answer.status_code, answer.json()["code"]) == (503, "inbox-full")
    assert answer.headers["retry-after"] == "60"


def test_without_a_destination_there_is_no_inbox(identity_model: Path, tmp_path: Path) -> None:
    settings = Settings(model=identity_model, device="cpu", readers=1, inbox=tmp_path / "inbox")
    with TestClient(create_app(settings)) as client:
        answer = post(client, related(mammogram(1)))
        assert (answer.status_code, answer.json()["code"]) == (404, "inbox-not-configured")
        assert client.get("/health/ready").status_code == 200
    assert not (tmp_path / "inbox").exists()


def test_a_draining_service_takes_nothing(client: TestClient) -> None:
    limiter = opened(client).limiter
    limiter.draining = True
    try:
        answer = post(client, related(mammogram(96)))
    finally:
        limiter.draining = False
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
