"""`mammoseg scp` tells the audit trail what came, from whom, and whom it did not let in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.audit.trail import AuditTrail
from service.destinations.registry import KINDS
from service.destinations.store import DicomDestination
from service.destinations.stow import StowDestination
from service.inbox.audited import identity_of_file, participant_of
from service.inbox.inbox import Inbox
from service.inbox.instance_store import InstanceStore
from service.inbox.quota import DiskQuota, inbox_full
from service.inbox.scp import StoreScp
from service.settings import Settings
from tests.certificates import Authority
from tests.service.audit.recorded import Told, told
from tests.service.audit.schema import faults_of
from tests.service.inbox.conftest import STUDY, mammogram
from tests.service.inbox.senders import changed, echo

pytestmark = pytest.mark.integration

PATIENT = "ZANARIE"


@pytest.fixture
def audited(inbox: Inbox, settings: Settings, scp: StoreScp, tmp_path: Path) -> Iterator[StoreScp]:
    audit = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(tmp_path / "audit")
    allowed = changed(settings, scp_callers="STORESCU,ECHOSCU")
    with (
        AuditTrail("mammoseg scp", audit) as trail,
        StoreScp(inbox, allowed, trail) as listening,
    ):
        yield listening


def since_start(tmp_path: Path) -> list[Told]:
    first, *rest = told(tmp_path / "audit")
    assert first.event == "Application Start"
    return rest


def test_what_came_by_c_store_is_told_with_both_ae_titles(
    audited: StoreScp, send: Callable[..., str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        send(audited, mammogram(PatientName=PATIENT), "-xe")
    first, again = since_start(tmp_path)
    assert (first.event, first.action, first.outcome) == ("DICOM Instances Transferred", "C", "0")
    assert again.action == "R"
    assert first.objects == [STUDY, "42"] and PATIENT.encode() in first.raw
    assert first.requestor["AlternativeUserID"] == "AETITLES=STORESCU"
    assert first.requestor["NetworkAccessPointID"] == "127.0.0.1"
    assert b'AlternativeUserID="AETITLES=MAMMOSEG"' in first.raw
    assert not faults_of([first.raw, again.raw], tmp_path)
    assert PATIENT not in "".join(capfd.readouterr())


def test_what_was_looked_at_and_could_not_be_kept_is_told_with_its_patient(
    audited: StoreScp,
    send: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(InstanceStore, "enter", fails)
    send(audited, mammogram(PatientName=PATIENT), "-xe")
    (message,) = since_start(tmp_path)
    assert (message.outcome, message.objects) == ("4", [STUDY, "42"])
    assert PATIENT.encode() in message.raw


def test_what_cannot_be_kept_is_told_as_a_failure(
    audited: StoreScp,
    send: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def is_full(*_: object) -> None:
        raise inbox_full()

    monkeypatch.setattr(DiskQuota, "take", is_full)
    send(audited, mammogram(), "-xe")
    (message,) = since_start(tmp_path)
    assert (message.action, message.outcome, message.why) == ("R", "4", "status a700")
    # What the request itself says: the file was not looked at.
    assert message.objects == ["<none>", "<none>"] and len(message.classes) == 1


def test_a_caller_who_is_not_on_the_list_is_told(audited: StoreScp, tmp_path: Path) -> None:
    assert not echo(audited, "-aet", "STRANGER")
    (message,) = since_start(tmp_path)
    assert (message.event, message.outcome, message.why) == ("Node Authentication", "4", "caller")
    assert b'AlternativeUserID="AETITLES=STRANGER"' in message.raw
    assert not faults_of([message.raw], tmp_path)


def test_a_caller_without_a_certificate_is_told(
    inbox: Inbox, settings: Settings, scp: StoreScp, tmp_path: Path
) -> None:
    authority, strangers = Authority(tmp_path), Authority(tmp_path, "strangers")
    server, stranger = authority.issue("localhost"), strangers.issue("modality", to_client=True)
    secure = changed(
        settings,
        scp_tls_certificate=server.certificate,
        scp_tls_key=server.key,
        scp_tls_client_ca=authority.file,
    )
    audit = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(tmp_path / "audit")
    with AuditTrail("mammoseg scp", audit) as trail, StoreScp(inbox, secure, trail) as it:
        files = map(str, (stranger.key, stranger.certificate, "+cf", authority.file))
        assert not echo(it, "+tls", *files)
    (message, _) = since_start(tmp_path)
    assert (message.event, message.why) == ("Node Authentication", "tls-certificate")


@pytest.mark.parametrize(
    ("url", "user", "title"),
    [
        ("https://pacs.clinic:8443/dicom-web", "https://pacs.clinic:8443/dicom-web", None),
        ("dicom://ARCHIVE%201@pacs.clinic:104", "ARCHIVE 1", "AETITLES=ARCHIVE 1"),
        ("dicoms://ARCHIVE@pacs.clinic", "ARCHIVE", "AETITLES=ARCHIVE"),
    ],
)
def test_a_destination_is_named_by_its_ae_title_or_its_url(
    url: str, user: str, title: str | None
) -> None:
    kind = DicomDestination if url.startswith("dicom") else StowDestination
    assert kind in KINDS.values()
    there = participant_of(kind.model_validate(url))
    assert (there.user_id, there.alternative_user_id) == (user, title)
    assert there.address == "pacs.clinic"


def test_a_result_that_is_no_dicom_file_any_more_is_nobodys(tmp_path: Path) -> None:
    file = tmp_path / "result.dcm"
    for content in (b"", b"rubbish", mammogram()[:200]):
        file.write_bytes(content)
        assert identity_of_file(file).patient_id is None
    assert identity_of_file(tmp_path / "none").study_instance_uid is None
    file.write_bytes(mammogram())
    assert identity_of_file(file).patient_id == "42"
