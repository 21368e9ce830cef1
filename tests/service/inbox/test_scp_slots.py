"""Connections that are no associations, and associations that end, hold nobody up."""

import contextlib
import itertools
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pynetdicom import AE, _config
from structlog.testing import capture_logs

from service.inbox import acceptor
from service.inbox.acceptor import Acceptor
from service.inbox.association_request import NO_SLOT, UNRECOGNIZED, abort
from service.inbox.inbox import Inbox
from service.inbox.scp import StoreScp
from service.settings import Settings
from tests.service.inbox.conftest import mammogram
from tests.service.inbox.senders import changed, echo
from tests.service.inbox.test_association_request import request
from tests.waiting import HANG_S, comes_true, not_held_up

pytestmark = pytest.mark.integration

FIRST_WORDS = {
    "http": b"GET /health/live HTTP/1.1\r\nHost: scp\r\n\r\n",
    "a proxy's header": b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508),
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "data before an association": struct.pack(">BxI", 4, 10) + bytes(10),
    "an abort": abort(0),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", False)


@pytest.fixture
def narrow(inbox: Inbox, settings: Settings) -> Iterator[StoreScp]:
    """Listen with two slots."""
    with StoreScp(inbox, changed(settings, scp_associations=2)) as scp:
        yield scp


def connect(scp: StoreScp) -> socket.socket:
    return socket.create_connection(("127.0.0.1", scp.port), timeout=2 * HANG_S)


def established(scp: StoreScp) -> socket.socket:
    line = connect(scp)
    line.sendall(request())
    assert line.recv(2**16)[:1] == b"\2"
    return line


def in_use(scp: StoreScp) -> int:
    (server,) = scp._entity._servers
    assert isinstance(server, Acceptor)
    return server.slots._taken


def test_silent_connections_hold_no_slot(narrow: StoreScp, send: Callable[..., str]) -> None:
    with contextlib.ExitStack() as lines:
        for _ in range(40):
            lines.enter_context(connect(narrow))
        assert "(Success)" in send(narrow, mammogram(), "-xe")


def test_a_health_probe_locks_nobody_out_and_says_nothing(
    narrow: StoreScp, send: Callable[..., str]
) -> None:
    stopped = threading.Event()

    def probe() -> None:
        while not stopped.wait(0.02):
            connect(narrow).close()

    prober = threading.Thread(target=probe)
    with capture_logs() as lines:
        prober.start()
        said = [send(narrow, mammogram(number), "-xe") for number in range(6)]
        stopped.set()
        prober.join()
    assert all("(Success)" in each for each in said)
    assert {line["event"] for line in lines} == {"scp-stored"}


@pytest.mark.parametrize("what", FIRST_WORDS)
def test_who_speaks_something_else_is_told_and_logged(narrow: StoreScp, what: str) -> None:
    with capture_logs() as lines:
        for _ in range(12):
            with connect(narrow) as line:
                line.sendall(FIRST_WORDS[what])
                with contextlib.suppress(ConnectionResetError):
                    assert line.recv(100) in (UNRECOGNIZED, b"")
        assert echo(narrow)
    refused = [line for line in lines if line["event"] == "scp-refused"]
    assert [line["code"] for line in refused] == ["not-dicom"] * 12
    assert refused[0]["peer"] == "127.0.0.1" and refused[0]["log_level"] == "warning"


def test_a_handshake_of_tls_ends_at_once(narrow: StoreScp, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    monkeypatch.setattr(acceptor, "REQUEST_S", 10 * HANG_S)
    with not_held_up(), connect(narrow) as line, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(line)
    assert echo(narrow)


def test_a_request_has_a_short_time(narrow: StoreScp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "REQUEST_S", 0.3)
    with capture_logs() as lines:
        with connect(narrow) as line:
            line.sendall(request()[:100])
            # One byte now and then does not renew it.
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                for byte in request()[100:]:
                    line.sendall(bytes([byte]))
                    time.sleep(0.05)
        assert comes_true(lambda: bool(lines))
    assert [(line["event"], line["code"]) for line in lines] == [
        ("scp-refused", "request-incomplete")
    ]


def test_of_very_many_silent_connections_the_oldest_are_closed(
    narrow: StoreScp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MAX_WAITING", 4)
    lines = [connect(narrow) for _ in range(12)]
    assert [line.recv(1) for line in lines[:6]] == [b""] * 6
    assert echo(narrow)
    for line in lines:
        line.close()


def test_with_all_slots_taken_a_caller_is_rejected_and_it_is_logged(narrow: StoreScp) -> None:
    with capture_logs() as lines, established(narrow), established(narrow), connect(narrow) as late:
        late.sendall(request())
        assert late.recv(100) == NO_SLOT
        assert late.recv(100) == b""
    (refused,) = [line for line in lines if line["event"] == "scp-refused"]
    assert (refused["code"], refused["peer"]) == ("associations", "127.0.0.1")


@pytest.mark.parametrize("how", ["closed", "reset", "aborted", "broken", "half a PDU"])
def test_an_association_that_ends_frees_its_slot_at_once(narrow: StoreScp, how: str) -> None:
    with capture_logs() as lines:
        for _ in range(4):
            line = established(narrow)
            assert in_use(narrow) >= 1
            if how == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == "aborted":
                line.sendall(abort(0))
            elif how == "broken":
                line.sendall(b"\xff" * 20)
            elif how == "half a PDU":
                line.sendall(struct.pack(">BxI", 4, 1000) + bytes(10))
            line.close()
            assert comes_true(lambda: in_use(narrow) == 0)
        assert echo(narrow)
        assert comes_true(lambda: in_use(narrow) == 0)
    assert "scp-aborted" in {line["event"] for line in lines}


def test_a_release_frees_its_slot_although_the_line_stays_open(narrow: StoreScp) -> None:
    lines = [established(narrow) for _ in range(2)]
    for line in lines:
        line.sendall(struct.pack(">BxI", 5, 4) + bytes(4))
    assert comes_true(lambda: in_use(narrow) == 0)
    assert echo(narrow)
    for line in lines:
        line.close()


def test_a_pdu_that_does_not_come_whole_ends_its_association(
    inbox: Inbox, settings: Settings
) -> None:
    with StoreScp(inbox, changed(settings, upload_timeout_s=1.0)) as scp, established(scp) as line:
        line.sendall(struct.pack(">BxI", 4, 1000))
        for _ in itertools.takewhile(lambda _: in_use(scp), range(100)):
            with contextlib.suppress(OSError):
                line.sendall(b"x")
            time.sleep(0.05)
        assert in_use(scp) == 0


@pytest.mark.parametrize("control", [1, 0], ids=["command", "data"])
def test_what_is_not_stored_is_bounded_in_memory(
    inbox: Inbox, settings: Settings, control: int
) -> None:
    pdv = struct.pack(">IBB", 2**15, 1, control) + bytes(2**15 - 2)
    pdu = struct.pack(">BxI", 4, len(pdv)) + pdv
    with (
        capture_logs() as lines,
        StoreScp(inbox, changed(settings, max_body_mib=64)) as scp,
        established(scp) as line,
    ):
        with contextlib.suppress(OSError):
            for _ in range(2**22 // len(pdu)):
                line.sendall(pdu)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(100)[:1] == b"\7"
    assert ("scp-too-large", "message") in {(each["event"], each.get("code")) for each in lines}


def test_shutting_down_does_not_wait_for_who_says_nothing(
    inbox: Inbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "REQUEST_S", 10 * HANG_S)
    with StoreScp(inbox, changed(settings)) as scp:
        line = connect(scp)
        time.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < HANG_S
    assert line.recv(1) == b""
    line.close()


def test_pynetdicom_as_sender_is_served(scp: StoreScp) -> None:
    entity = AE("SENDER")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", scp.port)
    assert association.is_established and association.send_c_echo().Status == 0
    association.release()
