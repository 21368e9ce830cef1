from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    ELEMENTS_DISCARDED,
    OTHER_STUDY,
    OUT_OF_RESOURCES,
    SYNTAX_NOT_SUPPORTED,
    StoreOutcome,
)
from service.dimse.store_status import PROCESSING_FAILURE
from service.errors import Overloaded, UnreadableImage, UnsuitableImage
from service.imaging.transfer_syntaxes import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE
from service.inbox.inbox import Inbox
from service.outputs.dicom.algorithm import MANUFACTURER
from service.settings import Settings
from tests.service.inbox.conftest import STUDY, mammogram
from tests.transfer_syntaxes import JPEG_2000, JPEG_2000_LOSSLESS

pytestmark = pytest.mark.integration

Receive = Callable[..., list[StoreOutcome]]


def held(inbox: Inbox) -> set[str]:
    """Names of all files but the database."""
    folders = ("incoming", "sources", "results")
    return {path.name for name in folders for path in (inbox.files.folder / name).iterdir()}


@pytest.mark.parametrize(
    "syntax", [IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, JPEG_2000_LOSSLESS, JPEG_2000]
)
def test_an_instance_is_kept_byte_for_byte(inbox: Inbox, receive: Receive, syntax: str) -> None:
    file = mammogram(syntax=syntax)
    (outcome,) = receive(file)
    assert (outcome.failure, outcome.warning) == (None, None)
    assert outcome.sop_instance_uid == f"{STUDY}.1.1"
    (entry,) = inbox.instances.entries("received", 9)
    assert inbox.files.source(entry.digest).read_bytes() == file
    assert held(inbox) == {f"{entry.digest}.dcm"}
    assert inbox.instances.bytes_held() == entry.size >= len(file)


def test_a_resend_changes_nothing(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    before = inbox.instances.entries(None, 9)
    assert receive(mammogram(), mammogram())[0].failure is None
    assert inbox.instances.entries(None, 9) == before
    assert len(held(inbox)) == 1


def test_another_senders_file_meta_makes_no_other_instance(inbox: Inbox, receive: Receive) -> None:
    file = mammogram()
    other = file.replace(b"PYDICOM", b"SENDER2", 1)
    assert other != file
    receive(file)
    assert receive(other)[0].warning is None
    assert len(inbox.instances.entries(None, 9)) == 1


def test_a_known_uid_with_other_contents_is_set_aside(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    (outcome,) = receive(mammogram(PatientID="43"))
    assert (outcome.failure, outcome.warning) == (None, ELEMENTS_DISCARDED)
    assert [entry.code for entry in inbox.instances.entries(None, 9)] == ["uid-known", None]
    assert len(held(inbox)) == 1
    assert receive(mammogram(PatientID="43"))[0].warning == ELEMENTS_DISCARDED


def test_a_refused_instance_may_come_again_corrected(inbox: Inbox, receive: Receive) -> None:
    receive(mammogram())
    inbox.processing.refused(1, "source-patient-id")
    (outcome,) = receive(mammogram(PatientID="43"))
    assert outcome.warning is None
    assert inbox.instances.entries(None, 1)[0].state == "received"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "SR"}, "modality-not-accepted"),
        ({"Modality": "SEG"}, "modality-not-accepted"),
        ({"Modality": None}, "modality-not-accepted"),
        ({"Manufacturer": MANUFACTURER}, "own-result"),
    ],
)
def test_what_is_not_ours_to_do_is_accepted_and_set_aside(
    inbox: Inbox, receive: Receive, elements: dict[str, Any], code: str
) -> None:
    for _ in range(2):
        assert receive(mammogram(**elements)) == [
            StoreOutcome("1.2.840.10008.5.1.4.1.1.1.2", f"{STUDY}.1.1")
        ]
    (entry,) = inbox.instances.entries(None, 9)
    assert (entry.state, entry.code, entry.size) == ("set-aside", code, 0)
    assert held(inbox) == set()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", CANNOT_UNDERSTAND),
        (b"no DICOM file" * 50, CANNOT_UNDERSTAND),
        (mammogram()[:200], CANNOT_UNDERSTAND),
        (mammogram(SOPInstanceUID=None), CANNOT_UNDERSTAND),
        (mammogram(StudyInstanceUID=None), CANNOT_UNDERSTAND),
        (mammogram(SOPInstanceUID="1.2.abc"), CANNOT_UNDERSTAND),
        (mammogram(StudyInstanceUID="1.2.3.5"), OTHER_STUDY),
        (mammogram().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1), 0xC122),
        (mammogram() + bytes(2**20), OUT_OF_RESOURCES),
    ],
)
def test_what_cannot_be_taken_fails_alone(
    inbox: Inbox, receive: Receive, file: bytes, reason: int
) -> None:
    good, bad, another = receive(mammogram(1), file, mammogram(2), study=STUDY)
    assert (good.failure, bad.failure, another.failure) == (None, reason, None)
    assert len(held(inbox)) == len(inbox.instances.entries("received", 9)) == 2


def test_the_syntax_failure_is_that_of_the_standard() -> None:
    assert SYNTAX_NOT_SUPPORTED == 0xC122


def test_what_is_not_committed_leaves_nothing(inbox: Inbox) -> None:
    with inbox.store_transaction() as transaction:
        transaction.begin()
        transaction.write(mammogram(1))
        transaction.end()
        transaction.begin()
        transaction.write(mammogram(2)[:500])
    assert held(inbox) == set()
    assert inbox.instances.entries(None, 9) == []


def test_a_full_inbox_says_so_and_takes_again_when_there_is_room(
    settings: Settings, tmp_path: Path
) -> None:
    # Space for four instances in arrival, at 16 MiB each.
    with Inbox(settings) as inbox:
        open_ = [inbox.store_transaction() for _ in range(5)]
        for transaction in open_[:4]:
            transaction.begin()
            transaction.write(mammogram())
        open_[4].begin()
        with pytest.raises(Overloaded) as full:
            open_[4].write(mammogram())
        assert full.value.code == "inbox-full"
        assert int(full.value.headers["Retry-After"]) == 60
        for transaction in open_:
            transaction.abandon()
        with inbox.store_transaction() as transaction:
            transaction.begin()
            transaction.write(mammogram())
            transaction.end()
            assert transaction.commit()[0].failure is None


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (UnreadableImage("decode-failed", "two readers died"), PROCESSING_FAILURE),
        (UnsuitableImage("decode-limit", "too slow"), PROCESSING_FAILURE),
        (UnreadableImage("truncated", "it breaks off"), CANNOT_UNDERSTAND),
    ],
)
def test_what_may_pass_is_no_refusal_for_good(
    inbox: Inbox, receive: Receive, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(inbox.reader), "look_at_file", fail)
    assert receive(mammogram())[0].failure == failure
    monkeypatch.undo()
    assert receive(mammogram())[0].failure is None


def test_a_disk_that_fails_is_no_fault_of_the_instance(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("service.inbox.store_transaction.os.fsync", broken)
    with inbox.store_transaction() as transaction:
        transaction.begin()
        transaction.write(mammogram())
        with pytest.raises(Overloaded) as failed:
            transaction.end()
    assert failed.value.code == "inbox-fails"
    assert held(inbox) == set()


def test_a_file_of_the_same_disk_is_moved_in(inbox: Inbox) -> None:
    path = inbox.files.incoming / "from-elsewhere"
    path.write_bytes(mammogram())
    with inbox.store_transaction() as transaction:
        transaction.adopt(path)
        assert transaction.commit()[0].failure is None
    assert not path.exists()
    (entry,) = inbox.instances.entries("received", 9)
    assert inbox.files.source(entry.digest).read_bytes() == mammogram()
