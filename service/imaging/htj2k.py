"""Which HTJ2K codestreams the fast decoder may have.

OpenJPH decodes HTJ2K two and a half times as fast as OpenJPEG. But it follows a damaged
quantisation table out of its memory, and takes a codestream that breaks off for a whole one. So it
gets only what is plain (reversible, hence without quantisation, and with one set of parameters) and
whole, and only in a process that may be lost. OpenJPEG takes the rest.
"""

import struct
from struct import unpack_from

_SOT, _SOD, _EOC, _COD, _QCD = 0xFF90, 0xFF93, b"\xff\xd9", 0xFF52, 0xFF5C

_IN_MAIN_HEADER = frozenset(
    # SIZ, CAP, PRF, CPF, TLM, COM; none that lets a tile or component differ.
    (0xFF51, 0xFF50, 0xFF56, 0xFF59, 0xFF55, 0xFF64, _COD, _QCD)
)
_IN_TILE_HEADER = frozenset((0xFF58, 0xFF64))
"""PLT, COM."""

_MOST_SEGMENTS = 256
"""Of one header; it has a handful."""


def is_plain_and_whole(frame: bytes, tiles: int) -> bool:
    """Say whether a codestream is reversible throughout, and each of its tiles is there to its end.

    Parameters
    ----------
    frame
        An HTJ2K codestream (ISO/IEC 15444-1 annex A, 15444-15).
    tiles
        How many it claims to have.
    """
    try:
        start = _after_header(frame, 2, _SOT, _IN_MAIN_HEADER)
        return start is not None and _is_whole(frame, start, tiles)
    except struct.error:
        return False


def _after_header(frame: bytes, start: int, end: int, known: frozenset[int]) -> int | None:
    """Step over marker segments to the marker `end`; None where one is not plain."""
    for _ in range(_MOST_SEGMENTS):
        marker, length = unpack_from(">HH", frame, start)
        if marker == end:
            return start
        if marker not in known:
            return None
        # The wavelet transformation is the last of COD's fixed fields (A.6.1), the style of
        # quantisation the first of QCD's (A.6.4).
        if marker == _COD and unpack_from("B", frame, start + 13) != (1,):
            return None
        if marker == _QCD and unpack_from("B", frame, start + 4)[0] & 0x1F != 0:
            return None
        start += 2 + length
    return None


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
