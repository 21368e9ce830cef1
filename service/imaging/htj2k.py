"""Which HTJ2K codestreams the fast decoder may have.

OpenJPH decodes HTJ2K two and a half times as fast as OpenJPEG. But it follows a quantisation table
that is too short out of its memory, and takes a codestream that breaks off for a whole one. So it
gets only what is plain (one set of parameters, and a table as long as these demand) and whole, and
only in a process that may be lost. OpenJPEG takes the rest.
"""

import struct
import sys
from collections.abc import Iterator
from struct import unpack_from
from typing import Any

import imagecodecs
from numpy.typing import NDArray

_SOT, _SOD, _EOC, _COD, _QCD = 0xFF90, 0xFF93, b"\xff\xd9", 0xFF52, 0xFF5C

_IN_MAIN_HEADER = frozenset(
    # SIZ, CAP, PRF, CPF, TLM, COM; none that lets a tile or component differ.
    (0xFF51, 0xFF50, 0xFF56, 0xFF59, 0xFF55, 0xFF64, _COD, _QCD)
)
_IN_TILE_HEADER = frozenset((0xFF58, 0xFF64))
"""PLT, COM."""

_MOST_LEVELS = 32
"""Of the wavelet transformation (A.6.1)."""

_NO_QUANTISATION, _EXPOUNDED = 0, 2
"""Styles of quantisation (A.6.4): a byte for each sub-band, or two."""

_MOST_SEGMENTS = 256
"""Of one header; it has a handful."""


def decode_fast(frame: bytes, levels: int = 0) -> NDArray[Any] | None:
    """Decode a plain and whole codestream at OpenJPH; None where it met an error.

    The finest `levels` of its wavelet are left out.

    The binding ignores those, and gives whatever was in its memory before for what is missing. It
    tells the interpreter, whose hook is listened to: for processes of one thread.
    """
    failures: list[bool] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _failure: failures.append(True)
    try:
        decoded: NDArray[Any] = imagecodecs.htj2k_decode(frame, skipres=levels or None)
    finally:
        sys.unraisablehook = hook
    return None if failures else decoded


def is_plain_and_whole(frame: bytes, tiles: int) -> bool:
    """Say whether a codestream has one set of parameters, and each of its tiles to the end.

    Parameters
    ----------
    frame
        An HTJ2K codestream (ISO/IEC 15444-1 annex A, 15444-15).
    tiles
        How many it claims to have.
    """
    try:
        start = _after_header(frame, 2, _SOT, _IN_MAIN_HEADER)
        return start is not None and _is_plain(frame) and _is_whole(frame, start, tiles)
    except (struct.error, IndexError):
        return False


def _after_header(frame: bytes, start: int, end: int, known: frozenset[int]) -> int | None:
    """Step over marker segments to the marker `end`; None where one is not plain."""
    for marker, at in _segments(frame, start, end):
        if marker == end:
            return at
        if marker not in known:
            return None
    return None


def _segments(frame: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give marker and place of each segment of a header, `end` included."""
    for _ in range(_MOST_SEGMENTS):
        marker, length = unpack_from(">HH", frame, start)
        yield marker, start
        if marker == end:
            return
        start += 2 + length


def _is_plain(frame: bytes) -> bool:
    """Say whether the main header has one COD and one QCD, and these agree (A.6.1, A.6.4)."""
    found: dict[int, list[int]] = {_COD: [], _QCD: []}
    for marker, at in _segments(frame, 2, _SOT):
        if marker in found:
            found[marker].append(at)
    if [len(places) for places in found.values()] != [1, 1]:
        return False
    (cod,), (qcd,) = found.values()
    levels, reversible = frame[cod + 9], frame[cod + 13]
    (length,) = unpack_from(">H", frame, qcd + 2)
    style = frame[qcd + 4] & 0x1F
    agreeing = ((_NO_QUANTISATION, 1), (_EXPOUNDED, 0))
    if levels > _MOST_LEVELS or (style, reversible) not in agreeing:
        return False
    bands = 3 * levels + 1
    return bool(length == 3 + bands * (2 if style == _EXPOUNDED else 1))


def _is_whole(frame: bytes, start: int, tiles: int) -> bool:
    """Follow the lengths of the tile-parts (A.4.2) to the end of the codestream."""
    end, seen = frame.rfind(_EOC), set()
    while start < end:
        marker, _, tile, length = unpack_from(">HHHL", frame, start)
        stop = start + length if length else end
        data = _after_header(frame, start + 12, _SOD, _IN_TILE_HEADER)
        if marker != _SOT or data is None or not data < stop <= end:
            return False
        seen.add(tile)
        start = stop
    return start == end and len(seen) == tiles
