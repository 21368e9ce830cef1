"""The marker segments of JPEG and JPEG-LS codestreams: frame header, scans, end."""

import re
from struct import unpack_from

from service.imaging.codecs.codestream import Codestream, corrupt

SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC3))
"""SOF0 baseline, SOF1 extended sequential, SOF3 lossless: the processes that DICOM uses
(PS3.5 A.4.1). Progressive and arithmetic ones were retired."""

PROGRESSIVE = 0xC2

JPEG_LS_FRAME = 0xF7

_START = b"\xff\xd8"
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""Markers of segments that state their length, and end of image: not start of image and restarts,
which have no length. Coded data never matches: after a byte of 255, JPEG puts a byte of 0 and
JPEG-LS a bit of 0 (10918-1 B.1.1.5, 14495-1 A.1)."""

_EOI, _SOS = 0xD9, 0xDA
_MAX_JPEG_SEGMENTS = 65_536
"""An image has a few dozen, and hundreds with profiles and previews."""


def starts_jpeg(head: bytes | memoryview) -> bool:
    """Say whether a JPEG or JPEG-LS codestream starts here: with a marker after its start."""
    return bytes(head[:3]) == _START + b"\xff"


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
    if bytes(frame[:2]) != _START:
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
