"""The first thing that a caller says: its A-ASSOCIATE-RQ, received in bounds and made readable.

pynetdicom ends an association without a word over what the standard says to skip: items of unknown
types (PS3.8 9.3.1 and D.2), AE titles padded with NUL, contexts it cannot read. So a request is
read here, before pynetdicom sees it, and what it cannot need is left out.
"""

import re
import socket
import struct
import time
from collections.abc import Iterator

REQUEST, ABORT, REJECT = 0x01, 0x07, 0x03
"""Types of PDU (PS3.8 9.3)."""

MAX_REQUEST_BYTES = 2**20
"""Of an association request; one with all presentation contexts takes a tenth."""

MIN_REQUEST_BYTES = 68
"""All fields of fixed length (PS3.8 table 9-11)."""

_VERSION, _CALLED, _CALLING, _ITEMS = slice(6, 8), slice(10, 26), slice(26, 42), 74
_CONTEXT, _USER = 0x20, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_NOT_IN_A_TITLE = re.compile(rb"[^ -\[\]-~]")
_ITEM_TYPES = frozenset((0x10, _CONTEXT, _USER))
_USER_ITEM_LENGTHS = {0x51: (4, 4), 0x52: (1, 64), 0x53: (4, 4), 0x54: (6, 70)}
"""Maximum Length, Implementation Class UID, Asynchronous Operations Window, Role Selection: what
the answer depends on (PS3.7 D.3.3, PS3.8 D.1). Implementation Version Name, extended negotiation
and user identity are not: they may stay without an answer."""


def abort(reason: int) -> bytes:
    """Return an A-ABORT of the service provider (PS3.8 9.3.8)."""
    return struct.pack(">BxIxxBB", ABORT, 4, 2, reason)


def reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return struct.pack(">BxIxBBB", REJECT, 4, result, source, reason)


UNRECOGNIZED, INVALID = abort(1), abort(6)
"""Unrecognized PDU; invalid PDU parameter value."""
NOT_THAT_VERSION, NOT_THAT_CALLER = reject(1, 2, 2), reject(1, 1, 3)
"""For good: protocol version not supported; calling AE title not recognized."""
NO_SLOT = reject(2, 3, 2)
"""For now: local limit exceeded."""


class NothingSaid(Exception):
    """The caller closed the line, or was silent, before it said anything: a probe, as a rule."""


class Unacceptable(Exception):
    """What came is no association request that can be answered.

    Parameters
    ----------
    code
        Why; stable, for the log.
    answer
        The PDU to send before the line is closed.
    """

    def __init__(self, code: str, answer: bytes) -> None:
        super().__init__(code)
        self.code, self.answer = code, answer


def receive_request(line: socket.socket, seconds: float) -> bytes:
    """Receive one A-ASSOCIATE-RQ and no byte more.

    Parameters
    ----------
    line
        Just accepted.
    seconds
        The ARTIM timer's (PS3.8 9.1.5): within it all of the request has to come.

    Raises
    ------
    NothingSaid
        The line was closed, or the time ran out, before the first byte.
    Unacceptable
        Something else came, or it did not come whole.
    """
    deadline = time.monotonic() + seconds
    first = receive(line, 1, deadline)
    if not first:
        raise NothingSaid
    if first[0] != REQUEST:
        raise Unacceptable("not-dicom", UNRECOGNIZED)
    head = first + receive(line, 5, deadline)
    if len(head) < 6:
        raise Unacceptable("request-incomplete", INVALID)
    (length,) = struct.unpack_from(">I", head, 2)
    if not MIN_REQUEST_BYTES <= length <= MAX_REQUEST_BYTES:
        raise Unacceptable("request-length", INVALID)
    body = receive(line, length, deadline)
    if len(body) < length:
        raise Unacceptable("request-incomplete", INVALID)
    return head + body


def receive(line: socket.socket, size: int, deadline: float) -> bytes:
    """Return so many bytes, or fewer where the line ends, or the time (`time.monotonic`)."""
    received = bytearray()
    before = line.gettimeout()
    try:
        while len(received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            line.settimeout(left)
            piece = line.recv(min(size - len(received), 2**16))
            if not piece:
                break
            received += piece
        line.settimeout(before)
    except OSError:
        # Gone, silent for too long, or closed by another thread: what came is all.
        pass
    return bytes(received)


def readable(request: bytes) -> bytes:
    """Return a request that says the same in a form that pynetdicom reads.

    AE titles end at a NUL and are ASCII; protocol version 1 may be named among others (PS3.8
    9.3.2, bit 0); items of unknown types, and known ones that are malformed, are left out.

    Raises
    ------
    Unacceptable
        An item is longer than what holds it, or the protocol is another version's alone.
    """
    fixed = bytearray(request[:_ITEMS])
    if not fixed[7] & 1:
        raise Unacceptable("request-version", NOT_THAT_VERSION)
    fixed[_VERSION] = b"\0\1"
    for title in (_CALLED, _CALLING):
        fixed[title] = _ae_title(bytes(fixed[title]))
    items = b"".join(
        _item(kind, kept)
        for kind, content in _items(request[_ITEMS:])
        if kind in _ITEM_TYPES and (kept := _kept(kind, content))
    )
    struct.pack_into(">I", fixed, 2, len(fixed) - 6 + len(items))
    return bytes(fixed) + items


def _ae_title(title: bytes) -> bytes:
    text = title.split(b"\0")[0].strip(b" ") or b"?"
    return _NOT_IN_A_TITLE.sub(b"?", text).ljust(16, b" ")


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(content):
        if offset + 4 > len(content):
            raise Unacceptable("request-malformed", INVALID)
        kind, length = struct.unpack_from(">BxH", content, offset)
        offset += 4
        if offset + length > len(content):
            raise Unacceptable("request-malformed", INVALID)
        yield kind, content[offset : offset + length]
        offset += length


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _kept(kind: int, content: bytes) -> bytes:
    """Return what is kept of an item's content; nothing where the item is not needed."""
    if kind == _CONTEXT:
        return _context(content)
    if kind == _USER:
        return b"".join(
            _item(sub, value)
            for sub, value in _items(content)
            if sub in _USER_ITEM_LENGTHS
            and _USER_ITEM_LENGTHS[sub][0] <= len(value) <= _USER_ITEM_LENGTHS[sub][1]
        )
    return content.rstrip(b" \0")


def _context(content: bytes) -> bytes:
    """Return a presentation context (PS3.8 9.3.2.2) without what is unknown in it."""
    if len(content) < 4 or content[0] % 2 == 0:
        return b""
    parts = [
        (kind, uid)
        for kind, value in _items(content[4:])
        if kind in (_ABSTRACT, _TRANSFER) and _is_uid(uid := value.strip(b" \0"))
    ]
    if [kind for kind, _ in parts].count(_ABSTRACT) != 1 or len(parts) < 2:
        return b""
    return content[:1] + bytes(3) + b"".join(_item(kind, uid) for kind, uid in parts)


def _is_uid(value: bytes) -> bool:
    return 0 < len(value) <= 64 and not value.strip(b"0123456789.")
