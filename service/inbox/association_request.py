"""The first thing that a caller says: its A-ASSOCIATE-RQ, received in bounds and made readable."""

import socket
import struct
import time

from service.dimse.associate_pdus import ABORT, REJECT, REQUEST, Malformed, readable_request

MAX_REQUEST_BYTES = 2**20
"""Of an association request; one with all presentation contexts takes a tenth."""

MIN_REQUEST_BYTES = 68
"""All fields of fixed length (PS3.8 table 9-11)."""


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

    Raises
    ------
    Unacceptable
        An item is longer than what holds it, or the protocol is another version's alone.
    """
    # PS3.8 9.3.2: version 1 may be named among others.
    if not request[7] & 1:
        raise Unacceptable("request-version", NOT_THAT_VERSION)
    try:
        return readable_request(request)
    except Malformed:
        raise Unacceptable("request-malformed", INVALID) from None
