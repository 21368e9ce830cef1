"""Archives that refuse, hang up, stall or read slowly: what the C-STORE client says of each."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pynetdicom import build_context

from service.destinations.association import Peer, RequestedAssociation
from service.outputs.dicom.registry import OUTPUTS
from tests.ports import free_port
from tests.service.destinations.c_store import SEG, UID, refusal, send
from tests.service.inbox.conftest import mammogram
from tests.store_scp import HANG_UP, store_scp
from tests.waiting import not_held_up

pytestmark = pytest.mark.integration


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


def test_where_the_line_was_hung_up_no_release_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that reads the line may be late to notice: then the association looks open."""
    with store_scp() as archive:
        url = urlsplit(archive.url())
        association = RequestedAssociation(Peer("127.0.0.1", url.port or 0, "PACS", "US", 10.0))
        association.request([build_context(SEG)], lambda _: None)
        asked: list[str] = []
        monkeypatch.setattr(association._association, "release", lambda: asked.append("release"))
        monkeypatch.setattr(RequestedAssociation, "is_open", True)
        association.hang_up()
        association.release()
    assert asked == []


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
    with peer(lambda line: None) as url, not_held_up():
        error = refusal(file, url, timeout_s=0.5)
    assert (error.code, error.reachable) == ("timeout", False)


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
