"""What a compressed frame says about itself, read from its first bytes and before any decoding.

The DICOM header may lie about the size of a codestream, and a decoder believes the codestream.
"""

import re
from dataclasses import dataclass
from struct import unpack_from

from service.errors import UnreadableImage

SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC3))
"""SOF0 baseline, SOF1 extended sequential, SOF3 lossless: the processes that DICOM uses
(PS3.5 A.4.1). Progressive and arithmetic ones were retired."""

PROGRESSIVE = 0xC2

JPEG_LS_FRAME = 0xF7
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""Markers of segments that state their length, and end of image: not start of image and restarts,
which have no length. Coded data never matches: after a byte of 255, JPEG puts a byte of 0 and
JPEG-LS a bit of 0 (10918-1 B.1.1.5, 14495-1 A.1)."""

_EOI, _SOS = 0xD9, 0xDA
_MAX_JPEG_SEGMENTS = 65_536
"""An image has a few dozen, and hundreds with profiles and previews."""

_RLE_HEADER_BYTES = 64
_MAX_TILES = 1024


@dataclass(frozen=True, slots=True)
class Codestream:
    """The codestream's own claims.

    Attributes
    ----------
    rows, columns
        Size of the image in pixels.
    components
        Samples a pixel.
    precision
        Bits a sample.
    signed
        Whether samples are two's complement; None where the format cannot say (JPEG, JPEG-LS).
    tiles
        How many tiles it is cut into (JPEG 2000).
    at
        Where the frame header stands (JPEG, JPEG-LS).
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None
    tiles: int = 1
    at: int = 0


def corrupt() -> UnreadableImage:
    """Return the error for pixel data that is not what its transfer syntax promises."""
    return UnreadableImage("pixel-data-corrupt", "The compressed pixel data cannot be decoded.")


def pixel_data_truncated() -> UnreadableImage:
    """Return the error for pixel data that ends before it should."""
    return UnreadableImage(
        "pixel-data-truncated", "The pixel data is shorter than the header says."
    )


def read_jpeg(
    frame: bytes | memoryview, processes: frozenset[int] = SEQUENTIAL | {JPEG_LS_FRAME}
) -> Codestream:
    """Read the frame header of a JPEG or JPEG-LS codestream (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2).

    Parameters
    ----------
    frame
        The codestream.
    processes
        The start-of-frame markers that are let through.

    Raises
    ------
    UnreadableImage
        No frame header, or one of another process.
    """
    if bytes(frame[:2]) != b"\xff\xd8":
        raise corrupt()
    offset, end = 2, len(frame)
    while offset + 10 <= end:
        if frame[offset] != 0xFF:
            raise corrupt()
        marker = frame[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        length = int(unpack_from(">H", frame, offset + 2)[0])
        if marker in processes:
            precision, rows, columns, components = unpack_from(">BHHB", frame, offset + 4)
            return Codestream(rows, columns, components, precision, at=offset)
        if length < 2 or (0xC0 <= marker <= 0xDA and marker not in (0xC4, 0xC8, 0xCC)):
            raise corrupt()
        offset += 2 + length
    raise corrupt()


def jpeg_scans(frame: bytes) -> int:
    """Count the scans of a JPEG or JPEG-LS codestream, and check that it was not cut off.

    The decoder would fill the rest with grey. What follows the end of the image (ISO/IEC 10918-1
    B.2.1) may be anything: padding, another image, what a camera or a server added. So it is not
    looked for from behind, but by the lengths of the marker segments; coded data has no markers.

    Raises
    ------
    UnreadableImage
        No end-of-image marker after the scans, or more segments than any image has.
    """
    at, scans = 2, 0
    for _ in range(_MAX_JPEG_SEGMENTS):
        found = _MARKER.search(frame, at)
        if found is None or found.end() + 2 > len(frame):
            break
        marker, at = frame[found.start() + 1], found.end()
        if marker == _EOI:
            break
        scans += marker == _SOS
        at += int(unpack_from(">H", frame, at)[0])
    if not scans or found is None or frame[found.start() + 1] != _EOI:
        raise corrupt()
    return scans


def read_jpeg_2000(frame: bytes | memoryview) -> Codestream:
    """Read the SIZ segment of a JPEG 2000 or HTJ2K codestream (ISO/IEC 15444-1 A.5.1).

    A JP2 file around the codestream is tolerated: DICOM forbids it (PS3.5 A.4.4), files have it.

    Raises
    ------
    UnreadableImage
        No SIZ segment, components of different sizes, or tiles that cannot be: some decoders
        never return from those.
    """
    offset = _codestream_in_jp2(frame)
    if len(frame) < offset + 45 or bytes(frame[offset : offset + 4]) != b"\xff\x4f\xff\x51":
        raise corrupt()
    right, bottom, left, top = unpack_from(">4L", frame, offset + 8)
    across = _tiles((left, right), *unpack_from(">LxxxxL", frame, offset + 24))
    down = _tiles((top, bottom), *unpack_from(">LxxxxL", frame, offset + 28))
    (components,) = unpack_from(">H", frame, offset + 40)
    depth, horizontal, vertical = unpack_from(">3B", frame, offset + 42)
    if (horizontal, vertical) != (1, 1):
        raise corrupt()
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        tiles=across * down,
    )


def _tiles(image: tuple[int, int], size: int, origin: int) -> int:
    """Count the tiles along one axis, and check their grid (ISO/IEC 15444-1 B.3)."""
    start, end = image
    if not (origin <= start < origin + size and start < end):
        raise corrupt()
    count = -(-(end - origin) // size)
    if count > _MAX_TILES:
        raise corrupt()
    return count


def _codestream_in_jp2(frame: bytes | memoryview) -> int:
    if bytes(frame[4:8]) != b"jP  ":
        return 0
    offset = 0
    while offset + 8 <= len(frame):
        (length,) = unpack_from(">L", frame, offset)
        if bytes(frame[offset + 4 : offset + 8]) == b"jp2c":
            return offset + 8
        if length < 8:
            break
        offset += length
    raise corrupt()


def rle_segments(frame: bytes | memoryview, segments: int) -> list[bytes | memoryview]:
    """Find the segments by an RLE header (PS3.5 G.5), most significant bytes first.

    The decoder follows the offsets unchecked, out of its buffer if they say so: call this first.

    Raises
    ------
    UnreadableImage
        The header does not fit the frame, or has another number of segments.
    """
    if len(frame) < _RLE_HEADER_BYTES:
        raise corrupt()
    count, *offsets = unpack_from("<16L", frame)
    starts = offsets[:segments]
    if count != segments or starts[0] < _RLE_HEADER_BYTES:
        raise corrupt()
    ends = [*starts[1:], len(frame)]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise corrupt()
    return [frame[start:end] for start, end in zip(starts, ends, strict=True)]
