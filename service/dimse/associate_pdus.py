"""What a peer says before objects go (PS3.8 9.3), in a form that pynetdicom reads.

pynetdicom ends an association without a word over what the standard says to skip or not to test:
items of unknown types (PS3.8 9.3.1 and D.2), padded names, reasons of the future. So what comes,
asked for or in answer, is read here before pynetdicom sees it, and what it cannot need is left out.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

REQUEST, ACCEPT, REJECT, ABORT = 0x01, 0x02, 0x03, 0x07
"""Types of PDU (PS3.8 9.3)."""

HEAD_BYTES = 6
"""Of each PDU: its type and its length."""

_VERSION, _CALLED, _CALLING, _ITEMS = slice(6, 8), slice(10, 26), slice(26, 42), 74
_APPLICATION, _PROPOSED, _RESULT, _USER = 0x10, 0x20, 0x21, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_NOT_IN_A_TITLE = re.compile(rb"[^ -\[\]-~]")
_MAX_LENGTH, _ROLE = 0x51, 0x54
_USER_ITEM_LENGTHS = {_MAX_LENGTH: (4, 4), 0x52: (1, 64), 0x53: (4, 4), _ROLE: (6, 70)}
"""Maximum Length, Implementation Class UID, Asynchronous Operations Window, Role Selection: what
either side depends on (PS3.7 D.3.3, PS3.8 D.1). Implementation Version Name, extended negotiation
and user identity are not: they may stay without an answer."""

PDV_HEAD_BYTES = 6
"""Of what a P-DATA-TF holds (PS3.8 9.3.5.1, E.2): length, context, control header."""

_UNLIMITED = struct.pack(">I", 0)

_ACCEPTED, _NO_REASON, _MAX_RESULT = 0, 2, 4
"""Of a presentation context (PS3.8 table 9-18)."""

_REJECTIONS = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}
"""Reasons by source (PS3.8 table 9-21), those that are not reserved."""

_ABORT_REASONS = frozenset((0, 1, 2, 4, 5, 6))
"""Of the service provider (PS3.8 table 9-26), those that are not reserved."""


class Malformed(ValueError):
    """An item is longer than what holds it, or a maximum length too short for any data."""


def is_too_short(maximum_length: int) -> bool:
    """Say whether a peer's Maximum Length (PS3.8 D.1) leaves no room for data; 0 is no limit."""
    return 0 < maximum_length <= PDV_HEAD_BYTES


def readable_request(request: bytes) -> bytes:
    """Return an A-ASSOCIATE-RQ that says the same in a form that pynetdicom reads.

    AE titles end at a NUL and are ASCII; protocol version 1 may be named among others (PS3.8
    9.3.2, bit 0); items of unknown types, and known ones that are malformed, are left out; who
    names no maximum length has none.

    Raises
    ------
    Malformed
        An item is longer than what holds it, or nothing could be answered.
    """
    return _readable(request, _PROPOSED)


def readable_answer(answer: bytes) -> bytes:
    """Return any PDU that answers a request of ours in a form that pynetdicom reads.

    An A-ASSOCIATE-AC as a request is; its version and titles are not to be tested (PS3.8 9.3.3).
    Of A-ASSOCIATE-RJ and A-ABORT, what is reserved becomes "no reason given".

    Raises
    ------
    Malformed
        An item is longer than what holds it, or nothing could be sent.
    """
    kind, fields = answer[0], bytearray(answer)
    if kind == ACCEPT and len(fields) >= _ITEMS:
        return _readable(answer, _RESULT)
    if kind == REJECT and len(fields) == 10:
        if fields[9] not in _REJECTIONS.get(fields[8], ()):
            fields[8:10] = b"\1\1"
        fields[7] = fields[7] if fields[7] in (1, 2) else 1
    if kind == ABORT and len(fields) == 10:
        fields[8] = 2 if fields[8] else 0
        fields[9] = fields[9] if fields[9] in _ABORT_REASONS else 0
    return bytes(fields)


class AnswerReader:
    """Receives for pynetdicom what answers, made readable.

    pynetdicom asks for a PDU's head, and then for its body: an answer is received whole for the
    head, since its length may be another one once it is readable.

    Parameters
    ----------
    receive
        Returns so many bytes from the line, or fewer where it ends.
    """

    def __init__(self, receive: Callable[[int], bytearray]) -> None:
        self._receive, self._ahead = receive, bytearray()

    def receive(self, size: int) -> bytearray:
        """Return so many bytes, or fewer; raises as the line does."""
        if not self._ahead:
            head = self._receive(size)
            # No body of this length begins like this: what a P-DATA-TF holds is shorter.
            if size != HEAD_BYTES or len(head) < size or head[0] not in (ACCEPT, REJECT, ABORT):
                return head
            (length,) = struct.unpack_from(">I", head, 2)
            body = self._receive(length)
            self._ahead = head + body
            # What is malformed or broken off is for pynetdicom, which aborts.
            if len(body) == length:
                with suppress(Malformed):
                    self._ahead = bytearray(readable_answer(bytes(self._ahead)))
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken


def _readable(pdu: bytes, contexts: int) -> bytes:
    """Return a request or its acceptance; `contexts` is the type of its presentation contexts."""
    fixed = bytearray(pdu[:_ITEMS])
    fixed[_VERSION] = b"\0\1"
    for title in (_CALLED, _CALLING):
        fixed[title] = _ae_title(bytes(fixed[title]))
    clean = {
        _APPLICATION: lambda content: content.rstrip(b" \0"),
        _PROPOSED: _proposed,
        _RESULT: _result,
    }
    kept, user = b"", b""
    for kind, content in _items(pdu[_ITEMS:]):
        if kind == _USER:
            user += content
        elif kind in (_APPLICATION, contexts) and (value := clean[kind](content)):
            kept += _item(kind, value)
    kept += _item(_USER, _user(user))
    struct.pack_into(">I", fixed, 2, len(fixed) - 6 + len(kept))
    return bytes(fixed) + kept


def _ae_title(title: bytes) -> bytes:
    text = title.split(b"\0")[0].strip(b" ") or b"?"
    return _NOT_IN_A_TITLE.sub(b"?", text).ljust(16, b" ")


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(content):
        if offset + 4 > len(content):
            raise Malformed
        kind, length = struct.unpack_from(">BxH", content, offset)
        offset += 4
        if offset + length > len(content):
            raise Malformed
        yield kind, content[offset : offset + length]
        offset += length


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _user(content: bytes) -> bytes:
    """Return user information without what is unknown in it, and with a maximum length."""
    kept: list[tuple[int, bytes]] = []
    for kind, value in _items(content):
        shortest, longest = _USER_ITEM_LENGTHS.get(kind, (1, 0))
        is_again = kind != _ROLE and kind in dict(kept)
        if shortest <= len(value) <= longest and not is_again:
            kept.append((kind, value))
    if _MAX_LENGTH not in dict(kept):
        # PS3.8 D.1: whoever names none takes any; pynetdicom cannot do without.
        kept.insert(0, (_MAX_LENGTH, _UNLIMITED))
    if is_too_short(*struct.unpack(">I", dict(kept)[_MAX_LENGTH])):
        raise Malformed
    return b"".join(_item(kind, value) for kind, value in kept)


def _proposed(content: bytes) -> bytes:
    """Return a proposed context (PS3.8 9.3.2.2) without what is unknown in it."""
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


def _result(content: bytes) -> bytes:
    """Return what became of a context (PS3.8 9.3.3.2); its syntax counts where it is accepted."""
    if len(content) < 4 or content[0] % 2 == 0:
        return b""
    if content[2] != _ACCEPTED:
        result = content[2] if content[2] <= _MAX_RESULT else _NO_REASON
        return bytes((content[0], 0, result, 0))
    syntaxes = [
        uid
        for kind, value in _items(content[4:])
        if kind == _TRANSFER and _is_uid(uid := value.strip(b" \0"))
    ]
    return bytes((content[0], 0, 0, 0)) + _item(_TRANSFER, syntaxes[0]) if syntaxes else b""


def _is_uid(value: bytes) -> bool:
    return 0 < len(value) <= 64 and not value.strip(b"0123456789.")
