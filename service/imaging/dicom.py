"""A DICOM file taken apart: file meta information, dataset, and where the pixel data lies.

Nothing is decoded here, and nothing large is copied: the pixel data is a view of the body.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from service.errors import (
    MammosegError,
    TooLarge,
    UnreadableImage,
    UnsupportedMedia,
    foreign_errors_as,
)
from service.imaging import elements
from service.imaging import quiet as quiet
from service.imaging.memory_file import ReadLimitedFile
from service.imaging.sequence_lengths import with_right_lengths
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    NATIVE,
)

_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_PREAMBLE = 128


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """A parsed file.

    Attributes
    ----------
    dataset
        The elements before the pixel data.
    transfer_syntax_uid
        One of `NATIVE` or `ENCAPSULATED`.
    little_endian
        Byte order of the dataset and of native pixel data.
    body
        The whole file; the inflated dataset where it was deflated.
    pixel_offset
        Where the value of Pixel Data (7FE0,0010) starts in `body`; None when there is none.
    pixel_length
        Its length in bytes as stated; None when undefined.
    pixel_vr
        Its value representation, "OB" or "OW"; None in implicit encoding.
    truncated
        The body ended in the middle of an element.
    """

    dataset: Dataset
    transfer_syntax_uid: str
    little_endian: bool
    body: bytes | memoryview
    pixel_offset: int | None
    pixel_length: int | None
    pixel_vr: str | None
    truncated: bool

    @property
    def pixel_data(self) -> memoryview:
        """The value of Pixel Data as a view, up to the end of the body if its length is undefined.

        Empty when there is none.
        """
        start = len(self.body) if self.pixel_offset is None else self.pixel_offset
        end = len(self.body) if self.pixel_length is None else start + self.pixel_length
        return memoryview(self.body)[start:end]


@dataclass(slots=True)
class _PixelElement:
    """Where the pixel data lies; filled by `stop`, which pydicom calls for each top-level tag."""

    reader: ReadLimitedFile
    tag: int = 0
    offset: int = 0
    length: int = 0
    vr: str | None = None

    def stop(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag not in _PIXEL_TAGS:
            return False
        self.tag, self.offset, self.length, self.vr = int(tag), self.reader.tell(), length, vr
        return True


def parse(body: bytes | memoryview, max_inflated_bytes: int) -> DicomFile:
    """Take a DICOM file apart.

    Tolerates a missing preamble, and missing file meta information where the dataset is native
    (PS3.10 7.1), or one in implicit VR; and sequences of a wrong length before the pixel data. A
    deflated dataset (PS3.5 A.5) is inflated up to `max_inflated_bytes`.

    Raises
    ------
    MammosegError
        400 for what is no DICOM file or breaks off, 413 for what grows too large, 415 for a
        transfer syntax that is not read here.
    """
    reader = ReadLimitedFile(body)
    syntax = _transfer_syntax(reader, body)
    start = reader.tell()
    if syntax == DEFLATED:
        body, start = _inflate(memoryview(body)[start:], max_inflated_bytes), 0
    found: DicomFile | MammosegError
    try:
        found = _parse(body, start, syntax)
        is_doubtful = found.pixel_offset is None or "IconImageSequence" in found.dataset
    except MammosegError as failure:
        found, is_doubtful = failure, True
    if is_doubtful:
        mended = with_right_lengths(body, start, little_endian=syntax != EXPLICIT_BIG)
        if mended is not body:
            return _parse(mended, start, syntax)
    if isinstance(found, MammosegError):
        raise found
    return found


def _parse(body: bytes | memoryview, start: int, syntax: str) -> DicomFile:
    reader = ReadLimitedFile(body)
    reader.seek(start)
    little_endian = syntax != EXPLICIT_BIG
    pixels = _PixelElement(reader)
    dataset = _contained(
        lambda: read_dataset(
            cast(BinaryIO, reader),
            syntax == IMPLICIT_LITTLE,
            little_endian,
            stop_when=pixels.stop,
        )
    )
    return DicomFile(
        dataset=dataset,
        transfer_syntax_uid=syntax,
        little_endian=little_endian,
        body=body,
        pixel_offset=pixels.offset if pixels.tag == _PIXEL_DATA else None,
        pixel_length=pixels.length if pixels.length != _UNDEFINED else None,
        pixel_vr=pixels.vr,
        truncated=reader.short and not pixels.tag,
    )


def read_meta(body: bytes | memoryview) -> tuple[str, int]:
    """Return a DICOM file's transfer syntax and where its dataset starts; raises as `parse`."""
    reader = ReadLimitedFile(body)
    return _transfer_syntax(reader, body), reader.tell()


def looks_like_dicom(body: bytes | memoryview) -> bool:
    """Say whether the first bytes are those of a DICOM file, with or without preamble.

    Without one the file must start with group 0002 or 0008, followed by a value representation
    of two capitals or, implicit and little-endian, by a short length (PS3.5 7.1). File meta
    information in implicit VR breaks the rules (PS3.10 7.1), but is written, and read by others.
    """
    head = bytes(body[: _PREAMBLE + 4])
    if head[_PREAMBLE:] == b"DICM":
        return True
    if head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08") or len(head) < 8:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or (head[5:8] == b"\0\0\0" and head[:2] != b"\0\x08")


def _transfer_syntax(reader: ReadLimitedFile, body: bytes | memoryview) -> str:
    """Read the file meta information; leave the reader at the dataset."""
    if len(body) == 0:
        raise UnreadableImage("empty-body", "The request carries no image.")
    if not looks_like_dicom(body):
        raise UnreadableImage("not-dicom", "This is not a DICOM file.")
    start = _PREAMBLE + 4 if bytes(body[_PREAMBLE : _PREAMBLE + 4]) == b"DICM" else 0
    if len(body) < start + 8:
        raise UnreadableImage("truncated", "The file breaks off.")
    reader.seek(start)
    if unpack_from("<H", body, start)[0] != 0x0002:
        return _guess_syntax(body, start)
    meta = _contained(
        lambda: read_dataset(
            cast(BinaryIO, reader),
            False,
            True,
            stop_when=lambda tag, _vr, _length: tag >> 16 != 0x0002,
        )
    )
    syntax = elements.uid(meta, "TransferSyntaxUID")
    if syntax is None and "TransferSyntaxUID" not in meta:
        return _guess_syntax(body, reader.tell())
    if syntax is None or syntax not in NATIVE | ENCAPSULATED:
        raise UnsupportedMedia("transfer-syntax", "This transfer syntax is not supported.")
    return syntax


def _guess_syntax(body: bytes | memoryview, start: int) -> str:
    if len(body) < start + 6:
        raise UnreadableImage("truncated", "The file breaks off.")
    group, _, vr = unpack_from("<HH2s", body, start)
    if not (vr.isalpha() and vr.isupper()):
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if group >= 0x0400 else EXPLICIT_LITTLE


def _inflate(deflated: memoryview, bound: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, bound)
    except zlib.error:
        raise UnreadableImage("deflate-corrupt", "The deflated dataset is damaged.") from None
    if inflater.eof:
        return inflated
    if len(inflated) >= bound:
        raise TooLarge("inflates-too-far", "The deflated dataset is too large.")
    raise UnreadableImage("truncated", "The file breaks off.")


def _contained(read: Callable[[], Dataset]) -> Dataset:
    with foreign_errors_as(UnreadableImage("dicom-unreadable", "The DICOM dataset is damaged.")):
        return read()
