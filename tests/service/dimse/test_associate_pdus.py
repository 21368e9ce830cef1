"""Answers as archives write them: what is not to be tested does not matter to pynetdicom."""

import struct
from functools import partial

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ

from service.dimse.associate_pdus import AnswerReader, Malformed, readable_answer

pytestmark = pytest.mark.unit

SYNTAX, APPLICATION = b"1.2.840.10008.1.2.1", b"1.2.840.10008.3.1.1.1"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


MAX_LENGTH = item(0x51, struct.pack(">I", 16384))
VERSION = item(0x52, b"1.2.3.4") + item(0x55, b"TEST")
ACCEPTED = item(0x21, b"\1\0\0\0" + item(0x40, SYNTAX))


def answer(
    *items: bytes, user: bytes | None = MAX_LENGTH + VERSION, fixed: bytes = bytes(64)
) -> bytes:
    body = struct.pack(">HH", 1, 0) + fixed
    body += b"".join(items or (item(0x10, APPLICATION), ACCEPTED))
    body += b"" if user is None else item(0x50, user)
    return struct.pack(">BxI", 2, len(body)) + body


ANSWERS = {
    "as it should be": answer(),
    "no user item": answer(user=None),
    "an empty user item": answer(user=b""),
    "no maximum length": answer(user=VERSION),
    "a maximum length of two bytes": answer(user=item(0x51, b"ab") + VERSION),
    "two maximum lengths": answer(user=MAX_LENGTH + VERSION + item(0x51, struct.pack(">I", 1))),
    "an unknown user item": answer(user=MAX_LENGTH + VERSION + item(0x5F, b"abc")),
    "an empty unknown user item": answer(user=MAX_LENGTH + VERSION + item(0x60, b"")),
    "a version name padded with NUL": answer(user=MAX_LENGTH + item(0x55, b"PACS_1\0")),
    "a version name of 17": answer(user=MAX_LENGTH + item(0x55, b"A" * 17)),
    "an empty version name": answer(user=MAX_LENGTH + item(0x55, b"")),
    "an unknown item": answer(item(0x10, APPLICATION), item(0x7F, b"zz"), ACCEPTED),
    "titles of NUL and beyond ASCII": answer(fixed=b"\xff" * 16 + bytes(16) + b"\xff" * 32),
    "a syntax padded with NUL": answer(
        item(0x10, APPLICATION), item(0x21, b"\1\0\0\0" + item(0x40, SYNTAX + b"\0"))
    ),
    "a rejected context without a syntax": answer(
        item(0x10, APPLICATION), ACCEPTED, item(0x21, b"\3\0\4\0")
    ),
    "a rejected context with rubbish for a syntax": answer(
        item(0x10, APPLICATION), ACCEPTED, item(0x21, b"\3\0\4\0@")
    ),
    "a rejected context for a reason that is reserved": answer(
        item(0x10, APPLICATION), ACCEPTED, item(0x21, b"\3\0\x09\0" + item(0x40, SYNTAX))
    ),
    "an accepted context without a syntax": answer(
        item(0x10, APPLICATION), ACCEPTED, item(0x21, b"\3\0\0\0")
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_pynetdicom_reads_an_acceptance_with(what: str) -> None:
    read = readable_answer(ANSWERS[what])
    assert struct.unpack_from(">I", read, 2)[0] == len(read) - 6
    assert readable_answer(read) == read
    pdu = A_ASSOCIATE_AC()
    pdu.decode(read)
    told = pdu.to_primitive()
    expected = 16384 if MAX_LENGTH in ANSWERS[what] else 0
    assert told.maximum_length_received == expected
    accepted = [
        (context.context_id, context.transfer_syntax)
        for context in told.presentation_context_definition_results_list
        if context.result == 0
    ]
    assert accepted == [(1, [SYNTAX.decode()])]


@pytest.mark.parametrize("result", range(4))
@pytest.mark.parametrize("source", range(5))
@pytest.mark.parametrize("reason", [0, 1, 2, 3, 7, 9])
def test_a_rejection_is_one_whatever_its_reason(result: int, source: int, reason: int) -> None:
    pdu = A_ASSOCIATE_RJ()
    sent = bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))
    pdu.decode(readable_answer(sent))
    told = pdu.to_primitive()
    assert told.result == (result if result in (1, 2) else 1)
    known = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}
    kept = (source, reason) if reason in known.get(source, ()) else (1, 1)
    assert (told.result_source, told.diagnostic) == kept


@pytest.mark.parametrize("source", range(4))
@pytest.mark.parametrize("reason", range(10))
def test_an_abort_is_one_whatever_its_reason(source: int, reason: int) -> None:
    pdu = A_ABORT_RQ()
    sent = bytes((7, 0, 0, 0, 0, 4, 0, 0, source, reason))
    pdu.decode(readable_answer(sent))
    pdu.to_primitive()


def test_other_pdus_are_as_they_came() -> None:
    for sent in (bytes((6, 0, 0, 0, 0, 4)) + bytes(4), b"\3\0\0\0\0\2ab", b"\2\0\0\0\0\1a"):
        assert readable_answer(sent) == sent


def test_no_cut_acceptance_is_read_as_another() -> None:
    whole = ANSWERS["an unknown user item"]
    for end in range(6, len(whole)):
        reader = AnswerReader(partial(_taken, bytearray(whole[:end])))
        assert reader.receive(6) + reader.receive(len(whole) - 6) == whole[:end]


def test_what_is_malformed_is_said_and_handed_on() -> None:
    sent = answer(item(0x10, APPLICATION), struct.pack(">BxH", 0x7F, 1000))
    with pytest.raises(Malformed):
        readable_answer(sent)
    line = bytearray(sent)
    reader = AnswerReader(lambda size: _taken(line, size))
    assert reader.receive(6) + reader.receive(len(sent) - 6) == sent


def test_a_reader_gives_the_pdus_in_their_order() -> None:
    data = struct.pack(">BxI", 4, 6) + struct.pack(">IBB", 2, 1, 3)
    line = bytearray(ANSWERS["no user item"] + data + ANSWERS["as it should be"])
    reader = AnswerReader(lambda size: _taken(line, size))
    for sent in (ANSWERS["no user item"], data, ANSWERS["as it should be"]):
        head = reader.receive(6)
        (length,) = struct.unpack_from(">I", head, 2)
        assert head + reader.receive(length) == readable_answer(sent)
    assert reader.receive(6) == b""


def _taken(line: bytearray, size: int) -> bytearray:
    taken = line[:size]
    del line[:size]
    return taken
