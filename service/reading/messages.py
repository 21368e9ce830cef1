"""What the service and a reader say to each other, in MessagePack of fixed types.

A reader may be in the hands of whoever sent it a file: what comes from it is checked here, each
value for its type and its bounds, before anything is made of it.
"""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.imaging.mammogram import Caveat, Intent, Laterality, Mammogram
from service.imaging.reader import ImageKind
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.source_header import (
    GRAYSCALE,
    MAX_TABLE_BYTES,
    MAX_TEXT_BYTES,
    TABLE_PARTS,
    TABLES,
    TEXTS,
    Element,
    Head,
    SourceHeader,
    tag_of,
)
from service.reading.channel import BadMessage
from service.reading.refusals import REFUSALS

MAX_CAVEATS = 64

Size = Annotated[int, Meta(ge=0, le=2**40)]
Count = Annotated[int, Meta(ge=1, le=2**31)]
Code = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]
Sentence = Annotated[str, Meta(max_length=500, pattern=r"\A[\x20-\x7e]*\Z")]
Uid = Annotated[str, Meta(max_length=64, pattern=r"\A[0-9]+(\.[0-9]+)+\Z")]
Direction = Annotated[str, Meta(pattern=r"\A[AFHLPR]{1,3}\Z")]
View = Annotated[str, Meta(pattern=r"\A[A-Z]{1,8}\Z")]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Text = Annotated[bytes, Meta(max_length=MAX_TEXT_BYTES + 1)]
Table = Annotated[bytes, Meta(max_length=MAX_TABLE_BYTES)]
Vr = Annotated[str, Meta(min_length=2, max_length=2)]
Parts = Annotated[tuple[tuple[int, Vr | None, Table], ...], Meta(max_length=len(TABLE_PARTS))]


class Message(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Said by either; `number` is that of the request, from 1 on, and 0 in a greeting."""

    number: int


class Read(Message, frozen=True, kw_only=True):
    """Read `length` bytes at the start of the shared memory; the rest as in `read_image`."""

    length: int
    shared_bytes: int
    kind: ImageKind | None
    limits: ReadLimits
    frame: int | None
    reduction: ReducedDecoding | None
    digest: bool
    sandboxed: bool


class Look(Message, frozen=True):
    """Look at the header of the DICOM file in `length` bytes of the shared memory."""

    length: int
    shared_bytes: int


class LookAtFile(Message, frozen=True):
    """Look at the header of the DICOM file of `length` bytes whose descriptor comes along."""

    length: int


class MoreMemory(Message, frozen=True):
    """Write the pixels to new shared memory, whose descriptor comes along."""

    shared_bytes: int


class Ready(Message, frozen=True):
    """Said first; what the sandbox is made of here, by name."""

    sandbox: Annotated[dict[Code, Sentence], Meta(max_length=16)]


class Refused(Message, frozen=True):
    """Something is wrong with the file."""

    code: Code
    detail: Sentence

    def error(self) -> MammosegError:
        """Return it as an error.

        Raises
        ------
        BadMessage
            A reader has no such thing to say.
        """
        kind = REFUSALS.get(self.code)
        if kind is None:
            raise BadMessage
        return kind(self.code, self.detail)


class WireCaveat(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """As `Caveat`."""

    code: Code
    detail: Sentence


class WireHeader(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """As `SourceHeader`."""

    elements: Annotated[
        tuple[tuple[int, Vr | None, Text], ...], Meta(max_length=len(TEXTS) + len(GRAYSCALE))
    ]
    tables: Annotated[tuple[tuple[int, Parts], ...], Meta(max_length=len(TABLES))]
    implicit: bool
    little_endian: bool

    @classmethod
    def of(cls, header: SourceHeader) -> "WireHeader":
        """Return a header to be sent."""
        return cls(header.elements, header.tables, header.implicit, header.little_endian)

    def header(self) -> SourceHeader:
        """Return what was sent, once its elements are among those that a reader hands back.

        Raises
        ------
        BadMessage
            They are not.
        """
        _check_elements(self.elements, _ELEMENTS)
        for tag, parts in self.tables:
            if tag not in _TABLES:
                raise BadMessage
            _check_elements(parts, _PARTS)
        return SourceHeader(self.elements, self.tables, self.implicit, self.little_endian)


class Looked(Message, frozen=True):
    """As `Head`."""

    header: WireHeader
    digest: Digest

    def head(self) -> Head:
        """Return it; raises as `WireHeader.header`."""
        return Head(self.header.header(), self.digest)


class Decoded(Message, frozen=True, kw_only=True):
    """A mammogram without its pixels: they are uint16 of `rows` by `columns`.

    `written` says that they lie in the shared memory; else they want `MoreMemory`.
    """

    rows: Count
    columns: Count
    written: bool
    pixel_spacing_mm: tuple[float, float] | None
    pixel_aspect: float
    intent: Intent
    laterality: Laterality | None
    view_position: View | None
    orientation: tuple[Direction, Direction] | None
    sop_instance_uid: Uid | None
    transfer_syntax_uid: Uid | None
    frame: Count | None
    halved: bool
    caveats: Annotated[tuple[WireCaveat, ...], Meta(max_length=MAX_CAVEATS)]
    header: WireHeader | None
    pixel_digest: Digest | None

    @classmethod
    def of(cls, number: int, mammogram: Mammogram, *, written: bool) -> "Decoded":
        """Return what is said of a mammogram."""
        header = mammogram.header
        return cls(
            number=number,
            rows=mammogram.rows,
            columns=mammogram.columns,
            written=written,
            pixel_spacing_mm=mammogram.pixel_spacing_mm,
            pixel_aspect=mammogram.pixel_aspect,
            intent=mammogram.intent,
            laterality=mammogram.laterality,
            view_position=mammogram.view_position,
            orientation=mammogram.orientation,
            sop_instance_uid=mammogram.sop_instance_uid,
            transfer_syntax_uid=mammogram.transfer_syntax_uid,
            frame=mammogram.frame,
            halved=mammogram.halved,
            caveats=tuple(WireCaveat(one.code, one.detail) for one in mammogram.caveats),
            header=None if header is None else WireHeader.of(header),
            pixel_digest=mammogram.pixel_digest,
        )

    def mammogram(self, pixels: NDArray[np.uint16]) -> Mammogram:
        """Return it with its pixels.

        Raises
        ------
        BadMessage
            A value is out of its bounds.
        """
        lengths = (self.pixel_aspect, *(self.pixel_spacing_mm or ()))
        if not all(math.isfinite(one) and one > 0 for one in lengths):
            raise BadMessage
        return Mammogram(
            pixels=pixels,
            pixel_spacing_mm=self.pixel_spacing_mm,
            pixel_aspect=self.pixel_aspect,
            intent=self.intent,
            laterality=self.laterality,
            view_position=self.view_position,
            orientation=self.orientation,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            frame=self.frame,
            halved=self.halved,
            caveats=tuple(Caveat(one.code, one.detail) for one in self.caveats),
            header=None if self.header is None else self.header.header(),
            pixel_digest=self.pixel_digest,
        )


class Written(Message, frozen=True):
    """The pixels lie in the new memory."""


Request = Read | Look | LookAtFile | MoreMemory
Reply = Ready | Refused | Looked | Decoded | Written

_ELEMENTS = frozenset(map(tag_of, (*TEXTS, *GRAYSCALE)))
_TABLES, _PARTS = frozenset(map(tag_of, TABLES)), frozenset(map(tag_of, TABLE_PARTS))

_encoder = msgspec.msgpack.Encoder()
_requests: "msgspec.msgpack.Decoder[Request]" = msgspec.msgpack.Decoder(Request)
_replies: "msgspec.msgpack.Decoder[Reply]" = msgspec.msgpack.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """Return a message as it is sent."""
    return _encoder.encode(message)


def decode_request(message: bytes) -> Request:
    """Return what the service said to a reader, which trusts it."""
    return _requests.decode(message)


def decode_reply(message: bytes) -> Reply:
    """Return what a reader said.

    Raises
    ------
    BadMessage
        It is no message, or a value in it is out of its bounds.
    """
    try:
        return _replies.decode(message)
    except Exception:
        raise BadMessage from None


def _check_elements(found: tuple[Element, ...], allowed: frozenset[int]) -> None:
    for tag, vr, _ in found:
        # Of a sequence, the service would have to take the items apart.
        if tag not in allowed or vr == "SQ":
            raise BadMessage
