"""The C-STORE client with an archive of the tests' own, and with peers that fall short."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from service.destinations.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from service.destinations.destination import ClientOptions, CommitmentReport, InstanceReference
from service.destinations.line import OwnAssociation
from service.destinations.store import DicomDestination, StoreClient
from service.outputs.dicom.registry import OUTPUTS, syntaxes_of
from service.server_process import free_port
from service.store_status import NotDelivered
from tests.service.inbox.conftest import mammogram
from tests.store_scp import HANG_UP, store_scp

pytestmark = pytest.mark.integration

UID = "1.2.3.4.1.1"
SEG = OUTPUTS["seg"].sop_class_uid
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "result.dcm"
    path.write_bytes(mammogram(SOPClassUID=SEG, Modality="SEG"))
    return path


def options(*reports: list[CommitmentReport], **syntaxes: frozenset[str]) -> ClientOptions:
    known = syntaxes or syntaxes_of(["seg", "sr"])

    def take(report: CommitmentReport) -> None:
        for each in reports:
            each.append(report)

    return ClientOptions("MAMMOSEG", known, take)


def send(
    file: Path, url: str, *, times: int = 1, given: ClientOptions | None = None, **more: Any
) -> Any:
    async def burst() -> Any:
        destination = DicomDestination.model_validate({"url": url} | more)
        async with StoreClient(destination, given or options()) as client:
            return [await client.store(file, UID) for _ in range(times)]

    return asyncio.run(burst())


def refusal(file: Path, url: str, **more: Any) -> NotDelivered:
    with pytest.raises(NotDelivered) as refused:
        send(file, url, **more)
    return refused.value


def dataset_of(file: bytes) -> bytes:
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_a_burst_goes_on_one_association_byte_for_byte(file: Path) -> None:
    with store_scp() as archive:
        assert send(file, archive.url(), times=3) == [None] * 3
    assert archive.associations == [("ARCHIVE", "MAMMOSEG")]
    assert archive.received == {UID: [dataset_of(file.read_bytes())] * 3}


def test_the_calling_title_is_the_destinations_where_it_has_one(file: Path) -> None:
    with store_scp() as archive:
        send(file, archive.url(calling_ae="READER%202"))
    assert archive.associations == [("ARCHIVE", "READER 2")]


def test_what_is_sent_is_proposed_and_nothing_else(file: Path) -> None:
    with store_scp() as archive:
        send(file, archive.url(), given=options())
        send(file, archive.url(commitment="true"), given=options())
    plain = [
        (uid, syntax)
        for uid in sorted(syntaxes_of(["seg", "sr"]))
        for syntax in (EXPLICIT, IMPLICIT)
    ]
    push = [("1.2.840.10008.1.20.1", EXPLICIT), ("1.2.840.10008.1.20.1", IMPLICIT)]
    assert archive.proposed == [plain, plain + push]


def test_a_class_that_nobody_spoke_of_is_proposed_on_a_new_association(file: Path) -> None:
    with store_scp() as archive:
        given = ClientOptions("MAMMOSEG", syntaxes_of(["sr"]), lambda report: None)
        send(file, archive.url(), times=2, given=given)
    (proposed,) = archive.proposed
    assert {uid for uid, _ in proposed} == {SEG, *syntaxes_of(["sr"])}


def test_an_idle_association_is_released(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.destinations.store.IDLE_S", 0.1)

    async def twice(url: str) -> None:
        async with StoreClient(DicomDestination(url=url), options()) as client:
            for _ in range(2):
                await client.store(file, UID)
                await client.rest()
                await asyncio.sleep(0.15)
                await client.rest()
                assert client._association is None

    with store_scp() as archive:
        asyncio.run(twice(archive.url()))
    assert len(archive.associations) == 2


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("kind", ["plain", "jpeg-ls", "jpeg"])
def test_a_result_is_decompressed_and_rewritten_where_the_archive_takes_only_that(
    tmp_path: Path, results: dict[str, bytes], kind: str, syntax: str
) -> None:
    name = {"plain": "seg", "jpeg-ls": "seg-fractional", "jpeg": "sc"}[kind]
    file = tmp_path / "result.dcm"
    file.write_bytes(results[name])
    with store_scp(syntaxes=(syntax,)) as archive:
        given = ClientOptions("MAMMOSEG", syntaxes_of([name]), lambda report: None)
        send(file, archive.url(), given=given)
    assert archive.syntaxes == [syntax]
    ((name, (received,)),) = archive.received.items()
    got = read_dataset(BytesIO(received), syntax == IMPLICIT, True)
    got.file_meta = FileMetaDataset()
    got.file_meta.TransferSyntaxUID = uid.UID(syntax)
    sent = dcmread(file)
    assert name == sent.SOPInstanceUID == got.SOPInstanceUID
    assert (got.pixel_array == sent.pixel_array).all()
    assert got.get("LossyImageCompression") == sent.get("LossyImageCompression")


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_a_delivery(file: Path, status: int) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: status
        assert send(file, archive.url()) == [status]


def test_what_the_archive_has_already_is_delivered(file: Path) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: 0x0111
        assert send(file, archive.url()) == [None]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (0xA700, False),
        (0xA702, False),
        (0x0110, False),
        (0x0124, False),
        (0x0213, False),
        (0xA900, True),
        (0xC000, True),
        (0x0117, True),
        (0x0122, True),
    ],
)
def test_a_failure_says_whether_to_try_again(file: Path, status: int, permanent: bool) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: status
        error = refusal(file, archive.url())
    assert (error.code, error.permanent, error.reachable) == (
        f"failure-{status:04x}",
        permanent,
        True,
    )


def test_an_archive_that_takes_no_such_object_will_not_take_it_later(file: Path) -> None:
    with store_scp(classes={OUTPUTS["sr"].sop_class_uid}) as archive:
        error = refusal(file, archive.url())
    assert (error.code, error.permanent, error.reachable) == ("context-rejected", True, True)


def test_an_archive_that_accepts_no_context_is_asked_again(file: Path) -> None:
    with store_scp(classes={"1.2.840.10008.1.1"}) as archive:
        error = refusal(file, archive.url())
    assert (error.code, error.permanent, error.reachable) == ("contexts-rejected", False, True)


def test_a_wrong_title_is_said(file: Path) -> None:
    with store_scp(called_ae="OTHER") as archive:
        error = refusal(file, archive.url())
    assert (error.code, error.permanent, error.reachable) == ("called-ae-unknown", False, False)


def test_nobody_there_is_not_reachable(file: Path) -> None:
    error = refusal(file, f"dicom://ARCHIVE@127.0.0.1:{free_port()}")
    assert (error.code, error.permanent, error.reachable) == ("unreachable", False, False)


def test_an_archive_that_dies_before_it_answers_may_have_it(file: Path) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: HANG_UP if times == 1 else 0
        assert refusal(file, archive.url()).code == "association-aborted"
        send(file, archive.url())
    assert len(set(archive.received[UID])) == 1


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Take one connection and do with it what a test wants; then hold it until the test ends."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                talk(line)
                ended.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"dicom://ARCHIVE@127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def reject(result: int, source: int, reason: int) -> bytes:
    return bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reject(1, 1, 3), "calling-ae-unknown"),
        (reject(1, 1, 7), "called-ae-unknown"),
        (reject(2, 3, 2), "association-busy"),
        (reject(1, 1, 1), "association-rejected"),
        (bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0)), "association-aborted"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "association-aborted"),
        (b"\x02\0\xff\xff\xff\xff" + bytes(100), "association-aborted"),
    ],
)
def test_a_refused_association_says_why(file: Path, answer: bytes, code: str) -> None:
    def talk(line: socket.socket) -> None:
        line.recv(2**16)
        line.sendall(answer)

    with peer(talk) as url:
        error = refusal(file, url, timeout_s=5)
    assert (error.code, error.permanent, error.reachable) == (code, False, False)


def test_a_peer_that_says_nothing_is_not_waited_for(file: Path) -> None:
    with peer(lambda line: None) as url:
        started = time.monotonic()
        error = refusal(file, url, timeout_s=0.5)
    assert (error.code, error.reachable) == ("timeout", False)
    assert time.monotonic() - started < 10


def test_an_archive_that_hangs_in_the_middle_is_not_waited_for(file: Path) -> None:
    freed = threading.Event()

    def hang(uid: str, times: int) -> int:
        freed.wait(60)
        return 0

    with store_scp() as archive:
        archive.status = hang
        error = refusal(file, archive.url(), timeout_s=0.5)
        freed.set()
    assert (error.code, error.reachable) == ("timeout", False)


@contextmanager
def relay(port: int, pause_s: float, most: int) -> Iterator[str]:
    """Stand before an archive, and pass on so many bytes at most, with a pause after each MiB."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)

        def back(inner: socket.socket, outer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while piece := inner.recv(2**16):
                    outer.sendall(piece)

        def serve() -> None:
            outer, _ = server.accept()
            with outer, socket.create_connection(("127.0.0.1", port)) as inner:
                threading.Thread(target=back, args=(inner, outer), daemon=True).start()
                passed = 0
                while piece := outer.recv(2**16):
                    inner.sendall(piece)
                    before, passed = passed, passed + len(piece)
                    if passed > most:
                        ended.wait(60)
                        return
                    if passed >> 20 > before >> 20:
                        ended.wait(pause_s)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"dicom://ARCHIVE@127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.dcm"
    path.write_bytes(mammogram(SOPClassUID=SEG, pixel_data=bytes(2**25)))
    return path


def test_one_that_stops_reading_in_the_middle_is_not_waited_for(large: Path) -> None:
    with store_scp() as archive, relay(archive.port, 0.0, 2**20) as url:
        error = refusal(large, url, timeout_s=0.5)
    assert (error.code, error.reachable) == ("timeout", False)


def test_a_slow_one_that_goes_on_reading_is_waited_for(large: Path) -> None:
    """The bound is of silence, not of an object's size."""
    started = time.monotonic()
    with store_scp() as archive, relay(archive.port, 0.2, 10**9) as url:
        assert send(large, url, timeout_s=3.0) == [None]
    assert time.monotonic() - started > 3.0


def test_a_file_that_is_no_result_any_more_does_not_stop_the_queue(tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    with store_scp() as archive:
        for content in (b"", b"rubbish" * 100, bytes(128) + b"DICM"):
            broken.write_bytes(content)
            with pytest.raises(OSError, match="no result any more"):
                send(broken, archive.url())


def ask(url: str, uids: list[str], reports: list[CommitmentReport], wait: int = 1) -> None:
    async def once() -> None:
        client = StoreClient(DicomDestination.model_validate({"url": url}), options(reports))
        async with client:
            await client.request_commitment("2.25.7", [InstanceReference(SEG, uid) for uid in uids])
            ends = time.monotonic() + 30
            while len(reports) < wait and time.monotonic() < ends:
                await asyncio.sleep(0.01)

    asyncio.run(once())


def test_a_commitment_is_reported_on_the_same_association(file: Path) -> None:
    reports: list[CommitmentReport] = []
    with store_scp() as archive:
        send(file, archive.url())
        ask(archive.url(commitment="true"), [UID, "1.2.9"], reports)
    assert reports == [CommitmentReport("2.25.7", frozenset({UID}), {"1.2.9": 0x0112})]
    assert archive.asked == [("2.25.7", [UID, "1.2.9"])]


def test_a_report_leaves_the_flag_alone_that_the_next_message_waits_for() -> None:
    """The library clears it after a report: a message that was to go meanwhile never went."""
    association = OwnAssociation(AE(), "requestor")
    association._accepted_cx[1] = build_context(PUSH_MODEL)
    association._accepted_cx[1].context_id = 1
    seen: list[evt.Event] = []

    def take(event: evt.Event) -> tuple[int, None]:
        seen.append(event)
        return 0, None

    association.bind(evt.EVT_N_EVENT_REPORT, take)
    request = N_EVENT_REPORT()
    request.MessageID, request.EventTypeID = 1, 1
    request.AffectedSOPClassUID = PUSH_MODEL
    request.AffectedSOPInstanceUID = PUSH_MODEL_INSTANCE
    association._is_paused = True
    association._serve_request(request, 1)
    assert len(seen) == 1 and association._is_paused


def test_a_refused_request_for_commitment_is_said(file: Path) -> None:
    with store_scp() as archive:
        archive.action_status = 0x0213
        with pytest.raises(NotDelivered, match="commitment-refused-0213"):
            ask(archive.url(commitment="true"), [UID], [], wait=0)
    refused = pytest.raises(NotDelivered, match="commitment-not-supported")
    with store_scp(classes={SEG}) as archive, refused:
        ask(archive.url(commitment="true"), [UID], [], wait=0)
