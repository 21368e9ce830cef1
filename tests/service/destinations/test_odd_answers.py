"""Archives that accept an association in a way that pynetdicom alone would abort."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pynetdicom.dul import DULServiceProvider

from service.inbox.association_request import receive
from tests.service.destinations.c_store import UID, refusal, send
from tests.store_scp import store_scp
from tests.waiting import comes_true

pytestmark = pytest.mark.integration


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def user(*items: bytes) -> Callable[[bytes], bytes]:
    """Return what puts other user information into an A-ASSOCIATE-AC."""

    def edit(answer: bytes) -> bytes:
        offset = 74
        while answer[offset] != 0x50:
            offset += 4 + struct.unpack_from(">H", answer, offset + 2)[0]
        body = answer[6:offset] + b"".join(items)
        return struct.pack(">BxI", 2, len(body)) + body

    return edit


@contextmanager
def relay(url: str, edit: Callable[[bytes], bytes]) -> Iterator[str]:
    """Stand between, and write an archive's first answer as a test wants."""
    port = int(url.rpartition(":")[2].partition("/")[0].partition("?")[0])

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(2**16):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        caller, _ = server.accept()
        with caller, socket.create_connection(("127.0.0.1", port)) as archive:
            there = threading.Thread(target=pump, args=(caller, archive))
            there.start()
            until = time.monotonic() + 60
            head = receive(archive, 6, until)
            (length,) = struct.unpack_from(">I", head, 2)
            caller.sendall(edit(head + receive(archive, length, until)))
            pump(archive, caller)
            there.join()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"dicom://ARCHIVE@127.0.0.1:{server.getsockname()[1]}"
        thread.join()


MAX = item(0x51, struct.pack(">I", 16384))
CLASS = item(0x52, b"1.2.3.4")

ODD = {
    "an unknown item in front": lambda answer: (
        struct.pack(">BxI", 2, len(answer)) + answer[6:74] + item(0x7F, b"zz") + answer[74:]
    ),
    "no user information": user(),
    "empty user information": user(item(0x50, b"")),
    "no maximum length": user(item(0x50, CLASS)),
    "an unknown user item": user(item(0x50, MAX + CLASS + item(0x5F, b"abc"))),
    "a version name padded with NUL": user(item(0x50, MAX + CLASS + item(0x55, b"PACS_1\0"))),
    "a version name of 17 characters": user(item(0x50, MAX + CLASS + item(0x55, b"A" * 17))),
}


@pytest.mark.parametrize("what", ODD)
def test_an_object_is_delivered_where_the_acceptance_has(file: Path, what: str) -> None:
    with store_scp() as archive, relay(archive.url(), ODD[what]) as url:
        assert send(file, url, timeout_s=10) == [None]
    assert len(archive.received[UID]) == 1


@pytest.mark.parametrize("length", [1, 4, 6])
def test_a_maximum_length_without_room_for_data_is_said_at_once(file: Path, length: int) -> None:
    edit = user(item(0x50, item(0x51, struct.pack(">I", length)) + CLASS))
    with store_scp() as archive, relay(archive.url(), edit) as url:
        refused = refusal(file, url, timeout_s=60)
    assert (refused.code, refused.permanent) == ("association-length", False)
    assert not archive.received
    assert comes_true(
        lambda: not any(isinstance(one, DULServiceProvider) for one in threading.enumerate())
    )


@pytest.mark.parametrize("length", [0, 7, 8])
def test_any_room_for_data_will_do(file: Path, length: int) -> None:
    edit = user(item(0x50, item(0x51, struct.pack(">I", length)) + CLASS))
    with store_scp() as archive, relay(archive.url(), edit) as url:
        assert send(file, url, timeout_s=60) == [None]
    assert len(archive.received[UID]) == 1


def test_a_rejection_for_a_reserved_reason_is_said_at_once(file: Path) -> None:
    with (
        store_scp() as archive,
        relay(archive.url(), lambda _: bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 9))) as url,
    ):
        assert refusal(file, url, timeout_s=60).code == "association-rejected"
