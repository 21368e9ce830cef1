"""What a reader says is checked before anything is made of it: lies, one by one."""

import math
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import cast

import msgspec
import numpy as np
import pytest

from service.buffer_pool import BufferPool
from service.errors import UnreadableImage
from service.imaging.limits import ReadLimits
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.source_header import Head, SourceHeader, tag_of
from service.reading.channel import BadMessage, Channel
from service.reading.messages import (
    Decoded,
    Looked,
    Ready,
    Refused,
    WireHeader,
    Written,
    encode,
)
from service.reading.process import ReaderProcess
from service.reading.reader import ReadRequest
from tests.waiting import not_held_up

pytestmark = pytest.mark.unit


def framed(message: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message


SOURCE = SourceHeader(
    ((tag_of("PatientID"), "LO", b"1"), (tag_of("WindowWidth"), None, b"2")),
    ((tag_of("VOILUTSequence"), ((tag_of("LUTData"), "OW", b"3"),)),),
    False,
    True,
)
MAMMOGRAM = Mammogram(
    np.zeros((2, 3), np.uint16),
    (0.1, 0.2),
    1.5,
    "film",
    "L",
    "MLO",
    ("A", "FR"),
    "1.2.3",
    "1.2.840.10008.1.2",
    4,
    True,
    (Caveat("odd", "A sentence."),),
    SOURCE,
    "0" * 64,
)
HEADER = WireHeader.of(SOURCE)
HONEST = Decoded.of(1, MAMMOGRAM, written=True)


def changed(**values: object) -> bytes:
    return encode(msgspec.structs.replace(HONEST, **values))


def header_of(element: tuple[int, str | None, bytes]) -> WireHeader:
    return msgspec.structs.replace(HEADER, elements=(element,))


def extra() -> bytes:
    fields = msgspec.msgpack.decode(encode(HONEST))
    return msgspec.msgpack.encode({**fields, "more": 1})


LIES: dict[str, bytes] = {
    "no message": framed(b"no message"),
    "nothing": framed(b""),
    "too long": struct.pack("<I", 2**32 - 1) + bytes(100),
    "a greeting": framed(encode(Ready(1, {}))),
    "an answer to something else": framed(encode(Looked(1, HEADER, "0" * 64))),
    "pixels that nobody waits for": framed(encode(Written(1))),
    "an answer to another request": framed(changed(number=2)),
    "no rows": framed(changed(rows=0)),
    "rows below zero": framed(changed(rows=-5, columns=-5)),
    "more pixels than are allowed": framed(changed(rows=1001, columns=1000)),
    "far more pixels": framed(changed(rows=2**31, columns=2**31)),
    "rows of another type": framed(changed(rows="2")),
    "a number that is none": framed(changed(pixel_spacing_mm=(math.nan, 0.1))),
    "a size below zero": framed(changed(pixel_aspect=-1.0)),
    "an infinite size": framed(changed(pixel_aspect=math.inf)),
    "an intent of its own": framed(changed(intent="sale")),
    "a UID that is none": framed(changed(sop_instance_uid="1.2\n3")),
    "a UID with a line after it": framed(changed(sop_instance_uid="1.2.3\n")),
    "a digest that is none": framed(changed(pixel_digest="0" * 63 + "\n")),
    "a view of two lines": framed(changed(view_position="CC\r\nX-Header: 1")),
    "a caveat of two lines": framed(changed(caveats=(["spacing\r\nx", "."],))),
    "a caveat that draws on a terminal": framed(changed(caveats=(["odd", "\x1b[2J"],))),
    "a caveat in letters that results cannot hold": framed(changed(caveats=(["odd", "\u00e9"],))),
    "a thousand caveats": framed(changed(caveats=(["odd", "."],) * 1000)),
    "an element that is not asked for": framed(changed(header=header_of((0x7FE00010, "OW", b"")))),
    "a sequence": framed(changed(header=header_of((tag_of("PatientID"), "SQ", b"")))),
    "an endless text": framed(changed(header=header_of((tag_of("PatientID"), "LO", bytes(2**16))))),
    "a field more": framed(extra()),
    "an item of a table that is none": framed(
        changed(header=msgspec.structs.replace(HEADER, tables=((1, ()),)))
    ),
    "a sequence in a table": framed(
        changed(
            header=msgspec.structs.replace(
                HEADER,
                tables=((tag_of("VOILUTSequence"), ((tag_of("LUTData"), "SQ", b""),)),),
            )
        )
    ),
    "pixels beyond the memory": framed(changed(rows=1000, columns=999)),
    "a refusal of its own": framed(encode(Refused(1, "reader-is-king", "."))),
    "a refusal by the service": framed(encode(Refused(1, "internal", "."))),
    "a refusal of two lines": framed(encode(Refused(1, "not-dicom\n", "."))),
}


LIMITS = ReadLimits(max_pixels=10**6)


class Running:
    """Stands for a process."""

    pid = 1

    def poll(self) -> None:
        return None


@pytest.fixture
def pair() -> Iterator[tuple[ReaderProcess, socket.socket]]:
    ours, theirs = socket.socketpair()
    process = cast("subprocess.Popen[bytes]", Running())
    with theirs:
        yield ReaderProcess(process, Channel(ours), 2**20, {}), theirs
    ours.close()


def read(reader: ReaderProcess, wait_s: float = 5) -> Mammogram:
    return reader.read(
        ReadRequest(b"body"),
        LIMITS,
        sandboxed=True,
        until=time.monotonic() + wait_s,
        pixels=BufferPool(0),
    )


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_no_message(pair: tuple[ReaderProcess, socket.socket], lie: str) -> None:
    reader, line = pair
    line.sendall(LIES[lie])
    with pytest.raises(BadMessage):
        read(reader)


def test_what_the_lies_are_changed_from_is_believed(
    pair: tuple[ReaderProcess, socket.socket],
) -> None:
    reader, line = pair
    line.sendall(framed(encode(HONEST)))
    read_back = read(reader)
    for name in Mammogram.__slots__:
        if name != "pixels":
            assert getattr(read_back, name) == getattr(MAMMOGRAM, name)
    assert (read_back.pixels.shape, read_back.pixels.dtype) == ((2, 3), np.uint16)


def test_a_refusal_is_raised_as_it_is(pair: tuple[ReaderProcess, socket.socket]) -> None:
    reader, line = pair
    line.sendall(framed(encode(Refused(1, "not-dicom", "This is no DICOM file."))))
    with pytest.raises(UnreadableImage) as caught:
        read(reader)
    assert (caught.value.code, caught.value.detail) == ("not-dicom", "This is no DICOM file.")


LIES_OF_HEADERS = {
    "a mammogram": encode(HONEST),
    "no digest": encode(Looked(1, HEADER, "0" * 63 + "\n")),
    "another digest": encode(Looked(1, HEADER, "Z" * 64)),
    "another's header": encode(Looked(2, HEADER, "0" * 64)),
    "an endless text": encode(
        Looked(1, header_of((tag_of("PatientID"), "LO", bytes(2**16))), "0" * 64)
    ),
}


@pytest.mark.parametrize("lie", LIES_OF_HEADERS)
def test_a_lie_of_a_header_is_no_message(
    pair: tuple[ReaderProcess, socket.socket], lie: str
) -> None:
    reader, line = pair
    line.sendall(framed(LIES_OF_HEADERS[lie]))
    with pytest.raises(BadMessage):
        reader.look(b"body", time.monotonic() + 5)


def test_a_header_is_handed_back(pair: tuple[ReaderProcess, socket.socket]) -> None:
    reader, line = pair
    line.sendall(framed(encode(Looked(1, HEADER, "0" * 64))))
    assert reader.look(b"body", time.monotonic() + 5) == Head(SOURCE, "0" * 64)


@pytest.mark.parametrize("half", [b"", b"\x40", b"\x40\0\0\0", b"\x40\0\0\0half"])
def test_half_a_message_is_waited_for_until_the_deadline(
    pair: tuple[ReaderProcess, socket.socket], half: bytes
) -> None:
    reader, line = pair
    line.sendall(half)
    with not_held_up(), pytest.raises(TimeoutError):
        read(reader, wait_s=0.1)


def test_a_message_that_comes_drop_by_drop_is_waited_for_no_longer(
    pair: tuple[ReaderProcess, socket.socket],
) -> None:
    reader, line = pair
    line.sendall(framed(encode(HONEST))[:5])
    for _ in range(2):
        with pytest.raises(TimeoutError):
            read(reader, wait_s=0.1)
        line.sendall(b"x")


def test_an_end_that_takes_nothing_is_waited_for_no_longer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        channel = Channel(ours)
        while True:
            channel.send(bytes(2**16), until=time.monotonic() + 0.1)


def test_who_says_something_unasked_is_not_ready(
    pair: tuple[ReaderProcess, socket.socket],
) -> None:
    reader, line = pair
    assert reader.is_ready()
    line.sendall(b"x")
    assert not reader.is_ready()
