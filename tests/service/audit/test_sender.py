"""Each message reaches the collector, in order, whatever becomes of the collector meanwhile."""

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog

from service.audit import sender as module
from service.audit.buffer import AuditBuffer
from service.audit.collector import CollectorAddress, connect
from service.audit.sender import Sender
from service.audit.trail import AuditTrail
from service.errors import StartupError
from service.settings import Settings
from service.tls_files import TlsContext, TlsFiles, client_context
from tests.certificates import Authority
from tests.ports import free_port
from tests.service.audit.collectors import (
    Collector,
    Rsyslog,
    content_of,
    sequence_ids,
    server_context,
)
from tests.service.audit.samples import every_kind, instance
from tests.service.audit.schema import faults_of
from tests.waiting import HANG_S, comes_true

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("POLL_S", 0.1), ("GATHER_S", 0.01), ("FIRST_WAIT_S", 0.05)):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.2)


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[AuditBuffer]:
    buffer = AuditBuffer(tmp_path / "buffer", 2**24)
    yield buffer
    buffer.close()


@contextmanager
def sending(
    buffer: AuditBuffer, port: int, settle_s: float = 0.3, tls: TlsContext | None = None
) -> Iterator[Sender]:
    address = CollectorAddress("tcp" if tls is None else "tls", "localhost", port)
    sender = Sender(buffer, partial(connect, address, tls), settle_s)
    sender.start()
    try:
        yield sender
    finally:
        assert sender.close()


def add(buffer: AuditBuffer, numbers: Iterable[int]) -> None:
    for number in numbers:
        buffer.add("<85>1 - - - - -", b"%d" % number)


def trusting(authority: Authority, files: TlsFiles | None = None) -> TlsContext:
    chosen = files or TlsFiles(ca=authority.file)
    return TlsContext("test", chosen.paths, lambda: client_context(chosen))


def test_messages_arrive_in_order_and_are_forgotten_once_they_have_settled(
    buffer: AuditBuffer,
) -> None:
    with Collector() as collector, sending(buffer, collector.port) as sender:
        add(buffer, range(1, 101))
        sender.wake()
        assert comes_true(lambda: len(collector.messages) == 100)
        assert sequence_ids(collector.messages) == list(range(1, 101))
        assert comes_true(lambda: buffer.waiting() == 0)
    assert len(collector.messages) == 100


def test_what_was_sent_is_put_on_the_disk_while_the_sender_runs_and_only_then(
    buffer: AuditBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with Collector() as collector, sending(buffer, collector.port, settle_s=60.0) as sender:
        monkeypatch.setattr(buffer, "sync", lambda: synced.append(len(collector.messages)))
        for count in (1, 2):
            add(buffer, [count])
            sender.wake()
            assert comes_true(lambda: len(synced) == count, within_s=10.0)  # noqa: B023
            # Several rounds in which nothing comes.
            time.sleep(0.5)
        assert len(synced) == 2


def test_what_another_process_added_is_sent_too(buffer: AuditBuffer) -> None:
    other = AuditBuffer(buffer.folder, 2**20)
    with Collector() as collector, sending(buffer, collector.port):
        add(other, [1])
        assert comes_true(lambda: len(collector.messages) == 1)
    other.close()


def test_one_of_two_senders_sends(buffer: AuditBuffer) -> None:
    other = AuditBuffer(buffer.folder, 2**20)
    with Collector() as collector:
        with sending(buffer, collector.port), sending(other, collector.port):
            add(buffer, range(20))
            assert comes_true(lambda: buffer.waiting() == 0)
        assert sequence_ids(collector.messages) == list(range(1, 21))
        assert collector.connections == 1
    other.close()


def test_while_the_collector_is_away_messages_wait_and_then_all_arrive_in_order(
    buffer: AuditBuffer,
) -> None:
    port = free_port()
    with structlog.testing.capture_logs() as lines, sending(buffer, port):
        add(buffer, range(10))
        assert comes_true(lambda: any(line["event"] == "audit-collector-away" for line in lines))
        add(buffer, range(10))
        with Collector(port=port) as collector:
            assert comes_true(lambda: len(collector.messages) == 20)
            assert sequence_ids(collector.messages) == list(range(1, 21))
            # Told once, not at each try.
            away = [line for line in lines if line["event"] == "audit-collector-away"]
            assert [line["code"] for line in away] == ["unreachable"]


def test_what_a_collector_that_died_had_not_read_is_sent_again(buffer: AuditBuffer) -> None:
    with sending(buffer, port := free_port(), settle_s=60.0):
        with Collector(port=port, most=7) as first:
            add(buffer, range(40))
            assert comes_true(lambda: len(first.messages) >= 7)
        with Collector(port=port) as second:
            assert comes_true(lambda: 40 in sequence_ids(second.messages))
            # In order, from the first that may have been lost; those that come twice are known by
            # their number, and are the same to the byte.
            assert sequence_ids(second.messages) == list(range(1, 41))
            assert first.messages[:7] == second.messages[:7]


def test_an_end_in_order_leaves_nothing_to_be_sent_again(buffer: AuditBuffer) -> None:
    with Collector() as collector:
        with sending(buffer, collector.port, settle_s=60.0):
            add(buffer, range(30))
        assert buffer.waiting() == 0
        assert sequence_ids(collector.messages) == list(range(1, 31))


def test_over_tls_with_a_certificate_on_both_sides(buffer: AuditBuffer, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("sender", to_client=True)
    tls = trusting(authority, TlsFiles(own.certificate, own.key, authority.file))
    context = server_context(authority.issue("collector"), authority.file)
    with Collector(context) as collector:
        with sending(buffer, collector.port, settle_s=60.0, tls=tls):
            add(buffer, range(30))
            assert comes_true(lambda: len(collector.messages) == 30)
        assert buffer.waiting() == 0
    assert sequence_ids(collector.messages) == list(range(1, 31))


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_collector_that_leaves_is_noticed_over_tls(
    buffer: AuditBuffer, tmp_path: Path, minimum: ssl.TLSVersion
) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.issue("collector"))
    context.minimum_version = context.maximum_version = minimum
    port = free_port()
    with sending(buffer, port, settle_s=60.0, tls=trusting(authority)):
        with Collector(context, port) as first:
            add(buffer, range(3))
            assert comes_true(lambda: len(first.messages) == 3)
        with Collector(context, port) as second:
            # Without anything new to send.
            assert comes_true(lambda: len(second.messages) == 3)


@pytest.mark.parametrize("how", ["another authority", "another host", "no client certificate"])
def test_a_wrong_certificate_is_refused_and_logged_without_the_patient(
    buffer: AuditBuffer, tmp_path: Path, how: str
) -> None:
    authority = Authority(tmp_path)
    asks = authority.file if how == "no client certificate" else None
    context = server_context(authority.issue("collector"), asks)
    trusted = Authority(tmp_path, "other") if how == "another authority" else authority
    # The certificate names localhost and 127.0.0.1.
    host = "127.0.0.2" if how == "another host" else "127.0.0.1"
    buffer.add("<85>1 - - - - -", b"ZANARIE")
    with structlog.testing.capture_logs() as lines, Collector(context, host=host) as collector:
        address = CollectorAddress("tls", host, collector.port)
        sender = Sender(buffer, partial(connect, address, trusting(trusted)), 60.0)
        sender.start()
        assert comes_true(lambda: any(line["event"] == "audit-collector-away" for line in lines))
        assert sender.close()
    assert not collector.messages and buffer.waiting() == 1
    (away,) = [line for line in lines if line["event"] == "audit-collector-away"]
    assert away["code"] == "tls-certificate"
    assert "ZANARIE" not in str(lines)


def test_files_of_tls_that_cannot_be_read_end_the_start(tmp_path: Path) -> None:
    settings = Settings(audit="syslog-tls://localhost", audit_ca=tmp_path / "none")
    with pytest.raises(StartupError, match="audit collector"):
        AuditTrail("test", settings.audit_options(tmp_path))


def test_over_udp_each_message_is_a_datagram(buffer: AuditBuffer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(HANG_S)
        address = CollectorAddress("udp", "127.0.0.1", listener.getsockname()[1])
        sender = Sender(buffer, partial(connect, address, None), 0.1)
        sender.start()
        add(buffer, range(3))
        received = [listener.recv(65536) for _ in range(3)]
        assert sender.close()
    assert sequence_ids(received) == [1, 2, 3] and buffer.waiting() == 0


def test_rsyslog_takes_every_kind_of_message_over_tls_as_it_was_made(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("sender", to_client=True)
    port = free_port()
    settings = Settings(
        audit=f"syslog-tls://localhost:{port}",
        audit_ca=authority.file,
        audit_certificate=own.certificate,
        audit_key=own.key,
    )
    hostile = instance(patient_id="4'2\n<&\"\0é", name="Müller^J\r\n85 <85>1 - ")
    with Rsyslog(tmp_path / "rsyslog", authority, port) as collector:
        with AuditTrail("mammoseg test", settings.audit_options(tmp_path / "buffer")) as trail:
            trail.record(every_kind().values())
            trail.record(every_kind(hostile).values())
        count = 2 * len(every_kind()) + 2
        assert comes_true(lambda: len(collector.messages()) >= count)
        messages, parts = collector.messages(), collector.parts.read_text().splitlines()
    assert sequence_ids(messages) == list(range(1, count + 1))
    assert not faults_of(map(content_of, messages), tmp_path)
    assert {line.split("|")[1:3] == ["mammoseg", "DICOM+RFC3881"] for line in parts} == {True}
    assert {line.split("|")[0] for line in parts} == {"84", "85"}
    assert parts[16].split("|")[3] == '[meta sequenceId="17"]'
    left = AuditBuffer(tmp_path / "buffer", 2**20)
    assert left.waiting() == 0
    left.close()


def test_rsyslog_that_was_away_gets_all_in_order(tmp_path: Path, buffer: AuditBuffer) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("sender", to_client=True)
    tls = trusting(authority, TlsFiles(own.certificate, own.key, authority.file))
    port = free_port()
    with sending(buffer, port, settle_s=60.0, tls=tls):
        add(buffer, range(50))
        with Rsyslog(tmp_path / "first", authority, port) as first:
            assert comes_true(lambda: len(first.messages()) >= 50)
            assert sequence_ids(first.messages()) == list(range(1, 51))
        add(buffer, range(50))
        with Rsyslog(tmp_path / "second", authority, port) as second:
            assert comes_true(lambda: len(second.messages()) >= 100)
            # The first fifty again, which it may have lost when it ended, then the others.
            assert sequence_ids(second.messages()) == list(range(1, 101))


ENDS = """
import sys
from pathlib import Path
from service.audit.trail import AuditTrail
from service.settings import Settings
settings = Settings(audit="syslog-tcp://127.0.0.1:9")
AuditTrail("test", settings.audit_options(Path(sys.argv[1]))).start()
"""


def test_no_thread_keeps_a_process_from_ending(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], check=True, timeout=60)
