"""Association requests as senders write them: what is not needed does not matter."""

import socket
import struct

import pytest
from structlog.testing import capture_logs

from service.inbox.association_request import (
    INVALID,
    NOT_THAT_VERSION,
    Unacceptable,
    readable,
)
from service.inbox.scp import StoreScp
from tests.thinned import thinned
from tests.waiting import comes_true

pytestmark = pytest.mark.integration

CLASS, SYNTAX = b"1.2.840.10008.5.1.4.1.1.1.2", b"1.2.840.10008.1.2.1"
APPLICATION = b"1.2.840.10008.3.1.1.1"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def context(number: int = 1, *more: bytes, abstract: bytes = CLASS) -> bytes:
    parts = item(0x30, abstract) + item(0x40, SYNTAX) + b"".join(more)
    return item(0x20, bytes([number, 0, 0, 0]) + parts)


def user(*more: bytes) -> bytes:
    known = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4") + item(0x55, b"TEST")
    return item(0x50, known + b"".join(more))


def request(
    *items: bytes,
    called: bytes = b"MAMMOSEG",
    calling: bytes = b"MODALITY",
    version: int = 1,
) -> bytes:
    items = items or (item(0x10, APPLICATION), context(), user())
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += b"".join(items)
    return struct.pack(">BxI", 1, len(body)) + body


APPLICATION_ITEM = item(0x10, APPLICATION)

ANSWERED = {
    "as it should be": request(),
    "a called title padded with NUL": request(called=b"MAMMOSEG".ljust(16, b"\0")),
    "a calling title padded with NUL": request(calling=b"MODALITY".ljust(16, b"\0")),
    "what stood in the buffer behind a title": request(calling=b"MR1\0DALITY\0xyz\0\0"),
    "a title of blanks": request(calling=b" " * 16),
    "a title of NULs": request(calling=bytes(16), called=bytes(16)),
    "a title in front of which are blanks": request(calling=b"   MODALITY"),
    "a title beyond ASCII": request(calling="MÜNCHEN".encode("latin-1")),
    "a title with a backslash": request(calling=b"MR\\1"),
    "an unknown item at the end": request(APPLICATION_ITEM, context(), user(), item(0x60, b"zz")),
    "an unknown item in front": request(item(0x99, b""), APPLICATION_ITEM, context(), user()),
    "an answer's item": request(APPLICATION_ITEM, item(0x21, b"abcd"), context(), user()),
    "an unknown user item": request(APPLICATION_ITEM, context(), user(item(0x5F, b"zz"))),
    "an empty user item": request(APPLICATION_ITEM, context(), user(item(0x5A, b""))),
    "an unknown item in a context": request(
        APPLICATION_ITEM, context(1, item(0x41, b"zz")), user()
    ),
    "an unknown item of no length": request(APPLICATION_ITEM, context(1, item(0x00, b"")), user()),
    "a version name that is too long": request(
        APPLICATION_ITEM, context(), user(item(0x55, b"A VERSION NAME OF MANY CHARACTERS"))
    ),
    "a version name beyond ASCII": request(APPLICATION_ITEM, context(), user(item(0x55, b"\xff"))),
    "an implementation UID padded with NUL": request(
        APPLICATION_ITEM, context(), item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2.3\0"))
    ),
    "no implementation UID": request(APPLICATION_ITEM, context(), item(0x50, item(0x51, bytes(4)))),
    "no user item at all": request(APPLICATION_ITEM, context()),
    "no maximum length": request(APPLICATION_ITEM, context(), item(0x50, item(0x52, b"1.2.3"))),
    "a maximum length of two bytes": request(
        APPLICATION_ITEM, context(), item(0x50, item(0x51, b"ab") + item(0x52, b"1.2.3"))
    ),
    "user identity": request(APPLICATION_ITEM, context(), user(item(0x58, b"\1\1\0\4name\0\0"))),
    "broken user identity": request(APPLICATION_ITEM, context(), user(item(0x58, b"\1"))),
    "extended negotiation": request(
        APPLICATION_ITEM,
        context(),
        user(item(0x56, struct.pack(">H", len(CLASS)) + CLASS + b"\2\0\1")),
    ),
    "common extended negotiation": request(
        APPLICATION_ITEM, context(), user(item(0x57, b"\0\3abc\0\0\0\0"))
    ),
    "an asynchronous window": request(APPLICATION_ITEM, context(), user(item(0x53, b"\0\5\0\5"))),
    "a role": request(
        APPLICATION_ITEM,
        context(),
        user(item(0x54, struct.pack(">H", len(CLASS)) + CLASS + b"\1\0")),
    ),
    "uids padded with NUL": request(
        item(0x10, APPLICATION + b"\0"), context(abstract=CLASS + b"\0"), user()
    ),
    "uids padded with a blank": request(
        item(0x10, APPLICATION + b" "), context(abstract=CLASS + b" "), user()
    ),
    "a context of an even number beside": request(APPLICATION_ITEM, context(2), context(), user()),
    "a context of an unknown class beside": request(
        APPLICATION_ITEM, context(3, abstract=b"1.2.3.4"), context(), user()
    ),
    "a context of no uid beside": request(
        APPLICATION_ITEM, context(3, abstract=b"x\xff"), context(), user()
    ),
    "a context without syntaxes beside": request(
        APPLICATION_ITEM, item(0x20, b"\3\0\0\0" + item(0x30, CLASS)), context(), user()
    ),
    "all contexts there may be": request(
        APPLICATION_ITEM, *(context(number) for number in range(1, 256, 2)), user()
    ),
    "versions 1 and 2": request(version=3),
}


@pytest.mark.parametrize("what", thinned(ANSWERED, 3))
def test_a_request_is_accepted_with(what: str, scp: StoreScp) -> None:
    with socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line:
        line.sendall(ANSWERED[what])
        answer = line.recv(2**16)
        line.sendall(struct.pack(">BxI", 5, 4) + bytes(4))
    assert answer[:1] == b"\2"
    # Presentation context 1 is accepted (PS3.8 9.3.3.2).
    assert bytes([0x21, 0]) in answer and b"\1\0\0\0@\0\0\x13" + SYNTAX in answer


def echo_request() -> bytes:
    """A C-ECHO-RQ on presentation context 1 (PS3.7 9.3.5)."""
    elements = ((2, b"1.2.840.10008.1.1\0"), (0x100, b"\x30\0"), (0x110, b"\1\0"), (0x800, b"\1\1"))
    command = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)
    command = struct.pack("<HHII", 0, 0, 4, len(command)) + command
    value = struct.pack(">IBB", len(command) + 2, 1, 3) + command
    return struct.pack(">BxI", 4, len(value)) + value


@pytest.mark.parametrize(
    "items",
    [
        (),
        (item(0x50, b""),),
        (item(0x50, item(0x52, b"1.2.3")),),
        (item(0x50, item(0x51, b"ab") + item(0x52, b"1.2.3")),),
    ],
    ids=["no user item", "an empty one", "no maximum length", "a maximum length of two bytes"],
)
def test_who_names_no_maximum_length_is_answered(items: tuple[bytes, ...], scp: StoreScp) -> None:
    verification = context(abstract=b"1.2.840.10008.1.1")
    with socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line:
        line.sendall(request(APPLICATION_ITEM, verification, *items))
        assert line.recv(2**16)[:1] == b"\2"
        line.sendall(echo_request())
        answer = line.recv(2**16)
        line.sendall(struct.pack(">BxI", 5, 4) + bytes(4))
    assert answer[:1] == b"\4"
    assert struct.pack("<HHIH", 0, 0x900, 2, 0) in answer


@pytest.mark.parametrize(("source", "reason"), [(2, 9), (1, 0), (9, 9), (2, 3)])
def test_an_abort_for_a_reserved_reason_ends_an_association(
    source: int, reason: int, scp: StoreScp
) -> None:
    with (
        capture_logs() as lines,
        socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line,
    ):
        line.sendall(request())
        assert line.recv(2**16)[:1] == b"\2"
        line.sendall(struct.pack(">BxIxxBB", 7, 4, source, reason))
        assert line.recv(100) == b""
        assert comes_true(lambda: "scp-aborted" in [each["event"] for each in lines])


TOO_LONG = struct.pack(">BxH", 0x60, 1000) + b"zz"

REFUSED = {
    "an item longer than the request": request(APPLICATION_ITEM, context(), TOO_LONG),
    "a sub-item longer than its item": request(APPLICATION_ITEM, context(), item(0x50, TOO_LONG)),
    "half an item": request(APPLICATION_ITEM, context(), user(), b"\x60\0"),
    "no room for the data of an answer": request(
        APPLICATION_ITEM, context(), item(0x50, item(0x51, struct.pack(">I", 6)))
    ),
    "less than the head of an answer": request(
        APPLICATION_ITEM, context(), item(0x50, item(0x51, struct.pack(">I", 1)))
    ),
    "no room for the titles": struct.pack(">BxI", 1, 20) + bytes(20),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_aborted_and_logged(what: str, scp: StoreScp) -> None:
    sent = REFUSED[what]
    address = ("127.0.0.1", scp.port)
    with capture_logs() as lines, socket.create_connection(address, timeout=30) as line:
        line.sendall(sent)
        assert line.recv(100) == INVALID
        assert line.recv(100) == b""
    assert [each["event"] for each in lines] == ["scp-refused"]
    assert lines[0]["code"].startswith("request-")


def test_without_a_context_that_can_be_read_it_is_refused_or_none_accepted(scp: StoreScp) -> None:
    with socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line:
        line.sendall(request(APPLICATION_ITEM, context(2), user()))
        assert line.recv(100)[:1] in (b"\2", b"\3", b"\7")


def test_of_versions_only_another_it_is_rejected(scp: StoreScp) -> None:
    with socket.create_connection(("127.0.0.1", scp.port), timeout=30) as line:
        line.sendall(request(version=2))
        assert line.recv(100) == NOT_THAT_VERSION


def test_what_is_read_says_its_own_length() -> None:
    for sent in ANSWERED.values():
        read = readable(sent)
        assert struct.unpack_from(">I", read, 2)[0] == len(read) - 6
        assert readable(read) == read


def test_no_cut_request_does_more_than_be_refused() -> None:
    whole = ANSWERED["a role"]
    for end in range(74, len(whole)):
        try:
            readable(whole[:end])
        except Unacceptable as fault:
            assert fault.code == "request-malformed"
