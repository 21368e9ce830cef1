"""Changes to codestreams and pictures that leave most of their structure whole."""

import contextlib
import struct
import zlib
from collections.abc import Iterator
from random import Random

from tests.fuzz.havoc import havoc, number, put

PNG_START = b"\x89PNG\r\n\x1a\n"
_BARE = frozenset((*range(0xFFD0, 0xFFDA), 0xFF4F, 0xFF93, 0xFF01))
"""Markers without a length."""


def change_codestream(data: bytes, rng: Random) -> bytes:
    """Change a compressed frame of DICOM: JPEG, JPEG-LS, JPEG 2000, HTJ2K or RLE."""
    if data[:2] in (b"\xff\xd8", b"\xff\x4f"):
        return change_segments(data, rng)
    if len(data) >= 64 and rng.random() < 0.7:
        return put(data, 4 * rng.randrange(16), number(rng, 4, "little"))
    return havoc(data, rng)


def change_segments(data: bytes, rng: Random) -> bytes:
    """Change one marker segment: a field, its length, its place, or how often it is there."""
    segments = list(_segments(data))
    if not segments or rng.random() < 0.2:
        return havoc(data, rng)
    start, stop = rng.choice(segments)
    segment = data[start:stop]
    match rng.randrange(5):
        case 0 | 1:
            field = rng.randrange(4, max(5, len(segment)))
            segment = put(segment, field, number(rng, rng.choice((1, 2, 4)), "big"))
        case 2:
            segment = put(segment, 2, number(rng, 2, "big"))
        case 3:
            segment *= rng.choice((0, 2, 9))
        case _:
            segment = put(segment, 1, rng.randbytes(1))
    return data[:start] + segment + data[stop:]


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        (marker,) = struct.unpack_from(">H", data, at)
        length = 0 if marker in _BARE else struct.unpack_from(">H", data, at + 2)[0]
        yield at, min(at + 2 + length, len(data))
        at += 2 + length


def change_picture(data: bytes, rng: Random) -> bytes:
    """Change a PNG, JPEG or TIFF."""
    if data[:2] == b"\xff\xd8":
        return change_segments(data, rng)
    if data[:8] == PNG_START:
        return _change_png(data, rng)
    if data[:2] in (b"II", b"MM") and rng.random() < 0.9:
        return _change_tiff(data, rng)
    return havoc(data, rng)


def _change_png(data: bytes, rng: Random) -> bytes:
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">L", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return havoc(data, rng)
    index = rng.randrange(len(chunks))
    kind, content = chunks[index]
    if kind == b"IDAT" and rng.random() < 0.5:
        with contextlib.suppress(zlib.error):
            inflated = zlib.decompressobj().decompress(content, 2**20)
            content = zlib.compress(havoc(inflated, rng))
    elif kind == b"IHDR":
        content = put(content, rng.randrange(13), number(rng, rng.choice((1, 4)), "big"))
    else:
        content = havoc(content, rng)
    chunks[index : index + 1] = [(kind, content)] * rng.choice((0, 1, 1, 1, 1, 2))
    return PNG_START + b"".join(
        struct.pack(">L", len(content))
        + kind
        + content
        + struct.pack(">L", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _change_tiff(data: bytes, rng: Random) -> bytes:
    """Change one field of one entry of the first directory; classic TIFF and BigTIFF."""
    order = "little" if data[:1] == b"I" else "big"
    big = b"+" in data[2:4]
    word, count, entry = (8, 8, 20) if big else (4, 2, 12)
    at = int.from_bytes(data[8 if big else 4 :][:word], order)  # type: ignore[arg-type]
    entries = int.from_bytes(data[at : at + count], order)  # type: ignore[arg-type]
    if not 0 < entries < 200 or at + count + entry * entries > len(data):
        return havoc(data, rng)
    first = at + count + entry * rng.randrange(entries)
    # Tag, type, count, value or offset.
    offset, size = rng.choice(((0, 2), (2, 2), (4, word), (4 + word, 2), (4 + word, word)))
    if rng.random() < 0.1:
        first, offset, size = at, 0, count
    return put(data, first + offset, number(rng, size, order))
