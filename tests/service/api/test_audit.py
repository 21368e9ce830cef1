"""What callers do over HTTP is in the audit trail, by whom and with whose images, and in no log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.access.scopes import Scope
from service.app import create_app
from service.audit.buffer import AuditBuffer
from service.errors import Overloaded
from service.segmenter import Segmenter
from service.settings import Settings
from tests.service.api.test_gate import bearing, secret_of, write_keys
from tests.service.api.test_stow import comes_true, post, related
from tests.service.audit.recorded import Told, told
from tests.service.audit.schema import faults_of
from tests.service.inbox.conftest import STUDY, mammogram
from tests.stow_server import StowServer, failed, stow_server

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]

DICOM = {"Content-Type": "application/dicom"}
PATIENT = "ZANARIE"


@dataclass(frozen=True)
class Service:
    client: TestClient
    folder: Path
    pacs: StowServer

    def since(self, count: int) -> list[Told]:
        """Return what was told after so many messages."""
        return told(self.folder)[count:]


@pytest.fixture(scope="module")
def service(identity_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("inbox")
    keys = write_keys(tmp_path_factory.mktemp("keys") / "keys.json")
    with stow_server() as pacs:
        settings = Settings(
            model=identity_model,
            device="cpu",
            keys_file=keys,
            max_body_mib=1,
            inbox=folder,
            destinations=pacs.url,
            inbox_results="sr",
            # Nobody listens there: what is told waits.
            audit="syslog-tcp://127.0.0.1:9",
        )
        with TestClient(create_app(settings)) as client:
            yield Service(client, folder, pacs)


@pytest.fixture
def since(service: Service) -> Callable[[], list[Told]]:
    """What is told during a test; deliveries of the inbox are not waited for."""
    count = len(told(service.folder))
    return lambda: [each for each in service.since(count) if service.pacs.url not in each.users]


Since = Callable[[], list[Told]]


def test_the_start_is_told(service: Service) -> None:
    (first, *_) = told(service.folder)
    assert (first.event, first.outcome) == ("Application Start", "0")


def test_an_image_that_was_asked_about_is_told_with_who_asked(
    service: Service, since: Since
) -> None:
    file = mammogram(1, PatientID="42", PatientName=PATIENT)
    answer = service.client.post(
        "/v1/segment", content=file, headers=DICOM | bearing(secret_of(Scope.SEGMENT))
    )
    assert answer.status_code == 200
    (message,) = since()
    assert (message.event, message.action, message.outcome) == (
        "DICOM Instances Accessed",
        "R",
        "0",
    )
    assert message.objects == [STUDY, "42"] and PATIENT.encode() in message.raw
    assert message.requestor["UserID"] == "segment"
    assert message.requestor["NetworkAccessPointID"] == "testclient"


def test_each_image_of_a_study_is_told(service: Service, since: Since) -> None:
    files = [("file", mammogram(number)) for number in (1, 2)]
    answer = service.client.post(
        "/v1/studies", files=files, headers=bearing(secret_of(Scope.SEGMENT))
    )
    assert answer.status_code == 200
    assert [each.event for each in since()] == ["DICOM Instances Accessed"] * 2


def test_an_image_that_was_refused_is_told_with_the_code(service: Service, since: Since) -> None:
    file = mammogram(1, Modality="CT", PatientID="P" * 3000)
    answer = service.client.post(
        "/v1/segment", content=file, headers=DICOM | bearing(secret_of(Scope.SEGMENT))
    )
    assert answer.status_code == 422
    (message,) = since()
    assert (message.outcome, message.why) == ("4", answer.json()["code"])
    # Whose it is, in as many words as any text has there.
    assert message.objects == [STUDY, "P" * 255 + "…"]
    assert len(message.raw) < 3000


def test_a_file_whose_header_cannot_be_read_is_told_as_nobodys(
    service: Service, since: Since
) -> None:
    file = mammogram(1)[:140] + b"\xff" * 200
    answer = service.client.post(
        "/v1/segment", content=file, headers=DICOM | bearing(secret_of(Scope.SEGMENT))
    )
    assert 400 <= answer.status_code < 500
    (message,) = since()
    assert message.why == answer.json()["code"] and message.objects == ["<none>", "<none>"]


@pytest.mark.parametrize("other", [{"PatientID": "43"}, {"StudyInstanceUID": "2.25.43"}])
def test_all_images_of_a_study_that_was_refused_are_told(
    service: Service, since: Since, phantom_png: bytes, other: dict[str, str]
) -> None:
    files = [("file", mammogram(1)), ("file", mammogram(2)), ("file", mammogram(3, **other))]
    answer = service.client.post(
        "/v1/studies",
        files=[*files, ("file", phantom_png)],
        headers=bearing(secret_of(Scope.SEGMENT)),
    )
    assert answer.status_code == 422
    found = since()
    assert [(each.outcome, each.why) for each in found] == [("4", answer.json()["code"])] * 2
    last = [other.get("StudyInstanceUID", STUDY), other.get("PatientID", "42")]
    assert [each.objects for each in found] == [[STUDY, "42"], last]
    # Two images in the first message.
    assert b'NumberOfInstances="2"' in found[0].raw


@pytest.mark.parametrize(
    ("error", "code"),
    [(Overloaded("too-busy", "Later."), "too-busy"), (RuntimeError("MUSTERMANN"), "internal")],
)
def test_what_was_given_up_is_told_of_every_image_that_was_there(
    service: Service,
    since: Since,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Segmenter, "segment", fails)
    files = [("file", mammogram(number)) for number in (1, 2, 3)]
    answer = service.client.post(
        "/v1/studies", files=files, headers=bearing(secret_of(Scope.SEGMENT))
    )
    assert answer.status_code >= 500
    found = since()
    assert [(each.why, each.objects) for each in found] == [(code, [STUDY, "42"])] * 2
    assert b"MUSTERMANN" not in b"".join(each.raw for each in found)


def test_what_came_before_a_body_broke_off_is_told(service: Service, since: Since) -> None:
    body = related(mammogram(21), mammogram(22))
    cut = body[: body.rindex(b"DICM") + 40]
    answer = post(service.client, cut, **bearing(secret_of(Scope.INBOX)))
    assert answer.status_code == 400
    (message,) = since()
    assert (message.event, message.outcome) == ("DICOM Instances Transferred", "4")
    assert message.objects == [STUDY, "42"]


def test_an_image_that_names_nobody_is_not_told(
    service: Service, since: Since, phantom_png: bytes
) -> None:
    headers = {"Content-Type": "image/png"} | bearing(secret_of(Scope.SEGMENT))
    assert service.client.post("/v1/segment", content=phantom_png, headers=headers).is_success
    assert since() == []


@pytest.mark.parametrize(
    ("headers", "why"),
    [({}, "no-credentials"), (bearing("mammoseg_guess"), "credentials-refused")],
)
def test_who_was_not_believed_is_told_by_his_address(
    service: Service, since: Since, headers: dict[str, str], why: str
) -> None:
    answer = service.client.get("/v1/model", headers=headers)
    assert answer.status_code == 401
    (message,) = since()
    assert (message.event, message.outcome, message.why) == ("Login", "4", why)
    assert message.requestor["NetworkAccessPointID"] == "testclient"
    assert b"guess" not in message.raw


def test_who_wanted_more_than_he_may_is_told_by_his_name(service: Service, since: Since) -> None:
    answer = service.client.get("/v1/model", headers=bearing(secret_of(Scope.METRICS)))
    assert answer.status_code == 403
    (message,) = since()
    assert (message.event, message.outcome) == ("Use of Restricted Function", "4")
    assert message.why == "needs the scope segment"
    assert "metrics" in message.users


def test_what_is_open_to_all_is_not_told(service: Service, since: Since) -> None:
    assert service.client.get("/health/live").is_success
    assert since() == []


def test_what_came_by_stow_is_told_apart_new_known_and_refused(
    service: Service, since: Since
) -> None:
    key = bearing(secret_of(Scope.INBOX))
    one, two = mammogram(11, PatientName=PATIENT), mammogram(12)
    assert post(service.client, related(one), **key).status_code == 200
    assert post(service.client, related(one, two, b"rubbish"), **key).status_code == 202
    first, *second = since()
    assert (first.event, first.action, first.outcome) == ("DICOM Instances Transferred", "C", "0")
    assert first.objects == [STUDY, "42"]
    assert first.requestor["UserID"] == "inbox"
    found = {(each.action, each.outcome, each.why) for each in second}
    assert found == {("R", "0", None), ("C", "0", None), ("R", "4", "status c000")}


def test_every_message_of_these_is_valid(service: Service, tmp_path: Path) -> None:
    assert not faults_of((each.raw for each in told(service.folder)), tmp_path)


def test_no_log_names_a_patient(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    file = mammogram(1, PatientID=PATIENT, PatientName=PATIENT)
    key = DICOM | bearing(secret_of(Scope.SEGMENT))
    assert service.client.post("/v1/segment", content=file, headers=key).is_success
    assert PATIENT not in "".join(capfd.readouterr())


def test_a_delivery_is_told_when_it_begins_and_when_it_ends(
    identity_model: Path, tmp_path: Path
) -> None:
    with stow_server() as pacs:
        replies = iter([lambda uid: failed(uid, 0xA700)])
        ordinary = pacs.reply
        pacs.reply = lambda uid, times: next(replies, lambda uid: ordinary(uid, times))(uid)
        settings = Settings(
            model=identity_model,
            device="cpu",
            inbox=tmp_path,
            destinations=pacs.url,
            inbox_results="sr",
            retry_first_s=0.1,
            audit="syslog-tcp://127.0.0.1:9",
        )
        with TestClient(create_app(settings)) as client:
            assert post(client, related(mammogram(1, PatientName=PATIENT))).status_code == 200
            assert comes_true(lambda: len(_deliveries(tmp_path, pacs.url)) == 4)
    found = _deliveries(tmp_path, pacs.url)
    begin, end = "Begin Transferring DICOM Instances", "DICOM Instances Transferred"
    assert [(each.event, each.outcome) for each in found] == [
        (begin, "0"),
        (end, "4"),
        (begin, "0"),
        (end, "0"),
    ]
    assert found[1].why is not None
    for each in found:
        assert each.objects == [STUDY, "42"] and PATIENT.encode() in each.raw
        assert each.classes == ["1.2.840.10008.5.1.4.1.1.88.22"]
        assert each.requestor["UserName"] == "mammoseg serve"
    assert told(tmp_path)[-1].event == "Application Stop"


def _deliveries(folder: Path, url: str) -> list[Told]:
    return [each for each in told(folder) if url in each.users]


def test_without_the_setting_nothing_is_kept(identity_model: Path, tmp_path: Path) -> None:
    settings = Settings(model=identity_model, device="cpu", inbox=tmp_path)
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/segment", content=mammogram(), headers=DICOM).is_success
    assert not list(tmp_path.iterdir())


def test_a_full_buffer_fails_no_request_and_says_what_is_missing(
    identity_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        model=identity_model,
        device="cpu",
        audit_folder=tmp_path,
        audit_mib=1,
        audit="syslog-tcp://127.0.0.1:9",
    )
    buffer = AuditBuffer(tmp_path, 2**20)
    for size in (*[10_000] * 104, 8_000):
        assert buffer.add("", bytes(size - 64)) == (True, 0)
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/segment", content=mammogram(), headers=DICOM).is_success
        # All that was there, and that no more is recorded: not the start, nor the image.
        assert b"Audit Recording Stopped" in buffer.after(105, 99)[0].content
        assert buffer.waiting() == 106
        buffer.forget(106)
        assert client.post("/v1/segment", content=mammogram(), headers=DICOM).is_success
    names = [each.event for each in told(tmp_path)]
    assert names == ["DICOM Instances Accessed", "Audit Recording Started", "Application Stop"]
    assert told(tmp_path)[1].why == "2 messages were lost"
    assert "audit-full" in "".join(capfd.readouterr())
    buffer.close()


def test_a_disk_that_fails_fails_no_request(
    identity_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        model=identity_model, device="cpu", audit_folder=tmp_path, audit="syslog-tcp://127.0.0.1:9"
    )

    def fails(*_: object, **__: object) -> None:
        raise OSError("disk")

    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr(AuditBuffer, "add", fails)
        assert client.post("/v1/segment", content=mammogram(), headers=DICOM).is_success
