"""RLE, the bytes of a sample apart and each packed as TIFF's PackBits (PS3.5 annex G)."""

from struct import unpack_from
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from service.imaging.codecs.codec import Codec, DecodeOptions
from service.imaging.codecs.codestream import Codestream, corrupt
from service.imaging.pixel_layout import PixelLayout

RLE_LOSSLESS = "1.2.840.10008.1.2.5"

_HEADER_BYTES, _MAX_SEGMENTS = 64, 15
_PADDING = 2**16


def starts_rle(head: bytes | memoryview) -> bool:
    """Say whether an RLE header starts here."""
    if len(head) < _HEADER_BYTES:
        return False
    segments, first = unpack_from("<2L", head)
    return bool(first == _HEADER_BYTES and 1 <= segments <= _MAX_SEGMENTS)


def read_rle(frame: bytes | memoryview, layout: PixelLayout) -> Codestream:
    """Check the segments; a header of RLE knows the bytes of a sample, and no size.

    Raises
    ------
    UnreadableImage
        As `rle_segments`.
    """
    segments = rle_segments(frame, layout.bits_allocated // 8)
    return Codestream(layout.rows, layout.columns, 1, precision=8 * len(segments))


def rle_segments(frame: bytes | memoryview, segments: int) -> list[bytes | memoryview]:
    """Find the segments by an RLE header (PS3.5 G.5), most significant bytes first.

    The decoder follows the offsets unchecked, out of its buffer if they say so: call this first.

    Raises
    ------
    UnreadableImage
        The header does not fit the frame, or has another number of segments.
    """
    if len(frame) < _HEADER_BYTES:
        raise corrupt()
    count, *offsets = unpack_from("<16L", frame)
    starts = offsets[:segments]
    if count != segments or starts[0] < _HEADER_BYTES:
        raise corrupt()
    ends = [*starts[1:], len(frame)]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise corrupt()
    return [frame[start:end] for start, end in zip(starts, ends, strict=True)]


def _decode(
    frame: bytes, layout: PixelLayout, claims: Codestream, options: DecodeOptions
) -> NDArray[Any]:
    item_bytes = layout.bits_allocated // 8
    out = np.empty(layout.rows * layout.columns * item_bytes, np.uint8)
    try:
        decoded = imagecodecs.dicomrle_decode(frame, f"<u{item_bytes}", out=out.data)
        # A segment that ends early leaves the rest of the memory as it was.
        if len(decoded) != len(out):
            raise corrupt()
    except imagecodecs.DicomrleError:
        _decode_padded(frame, out.reshape(-1, item_bytes))
    return out.view(f"<u{item_bytes}").reshape(layout.rows, layout.columns)


def _decode_padded(frame: bytes, out: NDArray[np.uint8]) -> None:
    """Decode segment by segment, forgiving what padding at the end of one decodes to.

    Parameters
    ----------
    out
        uint8, shape (pixels, bytes a sample), least significant byte first.
    """
    segments = rle_segments(frame, out.shape[1])
    for plane, segment in enumerate(reversed(segments)):
        decoded = imagecodecs.packbits_decode(bytes(segment), out=len(out) + _PADDING)
        if len(decoded) < len(out):
            raise corrupt()
        out[:, plane] = np.frombuffer(decoded, np.uint8, len(out))


def _encode(codes: NDArray[np.uint16]) -> bytes:
    """Encode by pydicom: imagecodecs only decodes RLE."""
    # What reads images encodes none.
    from pydicom.pixels.encoders.base import get_encoder

    rows, columns = codes.shape
    return bytes(
        get_encoder(RLE_LOSSLESS).encode(
            codes,
            rows=rows,
            columns=columns,
            samples_per_pixel=1,
            number_of_frames=1,
            bits_allocated=16,
            bits_stored=16,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
        )
    )


RLE = Codec(
    name="RLE",
    lossless=(RLE_LOSSLESS,),
    lossy=(),
    starts=starts_rle,
    read_claims=read_rle,
    decode=_decode,
    encode=_encode,
)
