"""The DIMSE door, called by dcmtk's storescu and echoscu."""

import contextlib
import errno
import socket
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from service.errors import StartupError
from service.inbox.association_request import INVALID
from service.inbox.inbox import Inbox
from service.inbox.scp import StoreScp
from service.outputs.dicom.algorithm import MANUFACTURER
from service.settings import Settings
from tests.service.inbox.conftest import STUDY, mammogram
from tests.service.inbox.senders import changed, echo
from tests.transfer_syntaxes import (
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
)
from tests.waiting import comes_true

pytestmark = pytest.mark.integration

PROPOSED = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.5": "-xr",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
}
"""dcmtk's options by transfer syntax."""


def dataset_of(file: bytes) -> bytes:
    """What follows the file meta information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_the_syntaxes_are_those_that_the_service_reads() -> None:
    assert {*PROPOSED} > {JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR, JPEG_2000_LOSSLESS, JPEG_2000}


@pytest.mark.parametrize("syntax", PROPOSED)
def test_an_instance_is_taken_as_it_is(
    inbox: Inbox, scp: StoreScp, send: Callable[..., str], syntax: str
) -> None:
    file = mammogram(syntax=syntax)
    # dcmtk writes a deflated dataset anew.
    assert "Received Store Response (Success)" in send(scp, file, PROPOSED[syntax])
    (entry,) = inbox.instances.entries("received", 9)
    assert (entry.sop_instance_uid, entry.study_instance_uid) == (f"{STUDY}.1.1", STUDY)
    kept = inbox.files.source(entry.digest).read_bytes()
    if not syntax.endswith(".99"):
        assert dataset_of(kept) == dataset_of(file)
    assert not list(inbox.files.incoming.iterdir())


def test_an_echo_is_answered(scp: StoreScp) -> None:
    assert echo(scp)


def test_a_resend_and_the_other_door_change_nothing(
    inbox: Inbox, scp: StoreScp, send: Callable[..., str]
) -> None:
    with inbox.store_transaction() as transaction:
        transaction.begin()
        transaction.write(mammogram())
        transaction.end()
        transaction.commit()
    for _ in range(2):
        assert "Received Store Response (Success)" in send(scp, mammogram(), "-xe")
    assert len(inbox.instances.entries(None, 9)) == 1


def test_own_results_are_set_aside(inbox: Inbox, scp: StoreScp, send: Callable[..., str]) -> None:
    assert "(Success)" in send(scp, mammogram(Manufacturer=MANUFACTURER), "-xe")
    (entry,) = inbox.instances.entries(None, 9)
    assert (entry.state, entry.code) == ("set-aside", "own-result")


def test_other_contents_of_a_known_uid_are_a_warning(
    inbox: Inbox, scp: StoreScp, send: Callable[..., str]
) -> None:
    send(scp, mammogram(), "-xe")
    assert "Warning: ElementsDiscarded" in send(scp, mammogram(PatientID="43"), "-xe")


def test_what_is_too_large_breaks_off_and_leaves_nothing(
    inbox: Inbox, scp: StoreScp, send: Callable[..., str]
) -> None:
    said = send(scp, mammogram(pixel_data=bytes(2**21)), "-xe")
    assert "Abort" in said and "(Success)" not in said
    assert echo(scp)
    # Its own thread clears up, once the line is down.
    assert comes_true(lambda: not list(inbox.files.incoming.iterdir()))
    assert inbox.instances.entries(None, 9) == []


def test_a_full_inbox_is_out_of_resources(
    inbox: Inbox, settings: Settings, send: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox._quota, "_capacity", 2**20)
    with StoreScp(inbox, changed(settings)) as scp:
        assert "Refused: OutOfResources" in send(scp, mammogram(), "-xe")
    assert inbox.instances.entries(None, 9) == []


def test_only_those_may_call_who_are_on_the_list(inbox: Inbox, settings: Settings) -> None:
    with StoreScp(inbox, changed(settings, scp_callers="PACS,OTHER")) as scp:
        assert echo(scp, "-aet", "PACS")
        assert not echo(scp, "-aet", "STRANGER")


def test_a_pdu_of_four_gigabytes_is_not_read(scp: StoreScp) -> None:
    with socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line:
        line.sendall(b"\x01\x00\xff\xff\xff\xff" + bytes(1000))
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(100) == INVALID
    assert echo(scp)


def test_a_port_that_is_taken_is_said(inbox: Inbox, settings: Settings, scp: StoreScp) -> None:
    with (
        pytest.raises(StartupError, match="is taken by another program"),
        StoreScp(inbox, changed(settings, scp_port=scp.port)),
    ):
        pass


class Unwritable:
    """A file whose buffer finds no room as it is closed."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        path.write_bytes(b"half")

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_of_a_broken_association_nothing_is_left_on_a_full_disk(
    scp: StoreScp, inbox: Inbox
) -> None:
    event = Mock()
    event.assoc.dimse.message._data_set_file = Unwritable(inbox.files.incoming / "half.dcm")
    scp._closed(event)
    assert not list(inbox.files.incoming.iterdir())
