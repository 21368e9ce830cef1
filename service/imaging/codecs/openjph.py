"""Which HTJ2K codestreams the fast decoder may have.

OpenJPH decodes HTJ2K about twice as fast as OpenJPEG. But it reads beyond the end of a quantisation
table that is too short, and takes a codestream that breaks off for a whole one. So it gets only
codestreams that are plain (one set of parameters, and a table as long as these demand) and whole,
and only in a process that may be lost. OpenJPEG takes the rest.

Nor does OpenJPH clip the values of the reversible wavelet: at half the resolution, an edge between
black and white overshoots the samples' range, and so does a codestream that its encoder truncated.
The values of the irreversible wavelet it clips at one too high. The binding then drops the upper
bits: black comes out as white, and white as black. So OpenJPH is told that the samples are signed
and wider than they are, and they are clipped here, as OpenJPEG does.
"""

import struct
import sys
from collections.abc import Iterator
from struct import unpack_from
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_SOT, _SOD, _EOC = 0xFF90, 0xFF93, b"\xff\xd9"
_CAP, _SIZ, _COD, _QCD = 0xFF50, 0xFF51, 0xFF52, 0xFF5C

_IN_MAIN_HEADER = frozenset(
    # SIZ, CAP, PRF, CPF, TLM, COM, COD, QCD; none that lets a tile or component differ.
    (_SIZ, _CAP, 0xFF56, 0xFF59, 0xFF55, 0xFF64, _COD, _QCD)
)
_IN_TILE_HEADER = frozenset((0xFF58, 0xFF64))
"""PLT, COM."""

_MAX_LEVELS = 32
"""Of the wavelet transformation (A.6.1)."""

_LEVELS, _WAVELET, _REVERSIBLE = 9, 13, 1
"""Where COD has the number of levels and the wavelet, and the 5/3 one (A.6.1)."""

_NO_QUANTISATION, _EXPOUNDED = 0, 2
"""Styles of quantisation (A.6.4): a byte for each sub-band, or two."""

_MAX_SEGMENTS = 256
"""Of one header; it has a handful."""

_DEPTH, _SIGNED = 42, 0x80
"""Where Ssiz of the first component is, since SIZ comes first; and its bit for the sign (A.5.1)."""

_SPARE_BITS = 2
"""Bits beyond a sample's own: with one level left out, values lie at most 1.1 times the range from
its middle (the gains of the 5/3 low-pass filter along both axes)."""

_STRIPE = 64
"""Rows that are clipped at a time: so many stay in a core's cache."""


def decode_fast(frame: bytes, levels: int = 0) -> NDArray[Any] | None:
    """Decode a plain and whole codestream of one component at OpenJPH; None where it met an error.

    Parameters
    ----------
    frame
        The codestream.
    levels
        How many of the finest levels of its wavelet are left out.

    Returns
    -------
    (u)int8 or (u)int16, shape (rows, columns), in the range of the codestream's precision.
    """
    precision, signed = (frame[_DEPTH] & ~_SIGNED) + 1, bool(frame[_DEPTH] & _SIGNED)
    halvings = 0
    if _is_reversible(frame):
        bits = 16 if precision + _SPARE_BITS <= 16 else 32
    else:
        # This wavelet's values scale with the stated precision, so it may be one more, to be halved
        # afterwards: of 8 and 16 bits, one too high would not fit in the container.
        halvings = int(precision in (8, 16))
        bits = precision + halvings
    centred = _decode(_as_signed(frame, bits), levels)
    return None if centred is None else _bounded(centred, precision, signed, halvings)


def _as_signed(frame: bytes, bits: int) -> bytes:
    return frame[:_DEPTH] + bytes((_SIGNED | bits - 1,)) + frame[_DEPTH + 1 :]


def _bounded(centred: NDArray[Any], precision: int, signed: bool, halvings: int) -> NDArray[Any]:
    """Clip samples around 0, and shift them to where the precision's range lies (G.1).

    Parameters
    ----------
    centred
        int8, int16 or int32; overwritten.
    precision, signed
        Of the result.
    halvings
        How often they are to be divided by two.
    """
    middle, shift = 1 << (precision - 1), 0 if signed else 1 << (precision - 1)
    wanted = np.dtype(f"{'i' if signed else 'u'}{1 if precision <= 8 else 2}")
    fits = wanted.itemsize == centred.itemsize
    bounded = centred.view(wanted) if fits else np.empty(centred.shape, wanted)
    for top in range(0, len(centred), _STRIPE):
        stripe = centred[top : top + _STRIPE]
        if halvings:
            stripe += 1
            stripe >>= halvings
        np.clip(stripe, -middle, middle - 1, out=stripe)
        np.add(stripe, shift, out=bounded[top : top + _STRIPE], casting="unsafe")
    return bounded


def _decode(frame: bytes, levels: int) -> NDArray[Any] | None:
    """Decode; None where the decoder met an error.

    After an error the binding returns all the same, with whatever was in its memory for what is
    missing. It only calls the interpreter's hook for exceptions that cannot be raised, which is
    replaced meanwhile: to be used in processes of one thread.
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
    """Yield marker and offset of each segment of a header, `end` included."""
    for _ in range(_MAX_SEGMENTS):
        marker, length = unpack_from(">HH", frame, start)
        yield marker, start
        if marker == end:
            return
        start += 2 + length


def _is_plain(frame: bytes) -> bool:
    """Say whether the main header has one SIZ, CAP, COD and QCD, and these agree (A.5, A.6).

    Without CAP it is JPEG 2000 of part 1, which OpenJPH does not decode.
    """
    found: dict[int, list[int]] = {_SIZ: [], _CAP: [], _COD: [], _QCD: []}
    for marker, at in _segments(frame, 2, _SOT):
        if marker in found:
            found[marker].append(at)
    if [len(offsets) for offsets in found.values()] != [1, 1, 1, 1]:
        return False
    (siz,), _, (cod,), (qcd,) = found.values()
    levels, reversible = frame[cod + _LEVELS], frame[cod + _WAVELET]
    (length,) = unpack_from(">H", frame, qcd + 2)
    style = frame[qcd + 4] & 0x1F
    agreeing = ((_NO_QUANTISATION, _REVERSIBLE), (_EXPOUNDED, 0))
    if siz != 2 or levels > _MAX_LEVELS or (style, reversible) not in agreeing:
        return False
    bands = 3 * levels + 1
    return bool(length == 3 + bands * (2 if style == _EXPOUNDED else 1))


def _is_reversible(frame: bytes) -> bool:
    """Say whether a plain codestream was made by the 5/3 wavelet."""
    cod = next(at for marker, at in _segments(frame, 2, _SOT) if marker == _COD)
    return frame[cod + _WAVELET] == _REVERSIBLE


def _is_whole(frame: bytes, start: int, tiles: int) -> bool:
    """Follow the lengths of the tile-parts (A.4.2) to the end of the codestream.

    What follows that is not its own.
    """
    seen = set()
    while frame[start : start + 2] != _EOC:
        marker, _, tile, length = unpack_from(">HHHL", frame, start)
        stop = start + length if length else frame.rfind(_EOC)
        data = _after_header(frame, start + 12, _SOD, _IN_TILE_HEADER)
        if marker != _SOT or data is None or not data < stop < len(frame):
            return False
        seen.add(tile)
        start = stop
    return len(seen) == tiles
