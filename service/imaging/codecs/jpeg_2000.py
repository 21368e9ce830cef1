"""JPEG 2000 (ISO/IEC 15444-1; PS3.5 8.2.4), whole or without its finest wavelet level; HTJ2K too.

Without that level decoding takes a third of the time. The low-pass band has its samples at the even
positions of the level above (ISO/IEC 15444-1 F.3): sample i of a halved image is centred on pixel
2 i, not between the pixels 2 i and 2 i + 1. Here it is brought back to the grid of the whole image,
so that nobody else need know.
"""

import io
from struct import unpack_from
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging import quiet as quiet
from service.imaging.codecs.codec import Codec, DecodeOptions
from service.imaging.codecs.codestream import Codestream, corrupt
from service.imaging.codecs.openjph import decode_fast, is_plain_and_whole
from service.imaging.pixel_layout import PixelLayout

OPENJPEG_BYTES_PER_PIXEL = 8
"""As `codec.BYTES_PER_PIXEL`: OpenJPEG works on four bytes a sample."""

_START, _JP2 = b"\xff\x4f\xff\x51", b"jP  "
_MAX_TILES = 1024
_TILE_PART, _COMMENT = 0xFF90, 0xFF64
_MAX_SEGMENTS = 256
"""Of a main header; it has a handful."""


def starts_jpeg_2000(head: bytes | memoryview) -> bool:
    """Say whether a codestream starts here, in a JP2 or not."""
    return bytes(head[:4]) == _START or bytes(head[4:8]) == _JP2


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
    if len(frame) < offset + 45 or bytes(frame[offset : offset + 4]) != _START:
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
    if bytes(frame[4:8]) != _JP2:
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


def decode_wavelet(
    frame: bytes,
    layout: PixelLayout,
    claims: Codestream,
    options: DecodeOptions,
    *,
    fast: bool = False,
) -> NDArray[Any]:
    """Decode a codestream as `Codec.decode` does; `fast` as of `decode_jpeg_2000`."""
    # An encoder may have taken signed samples for unsigned ones, and a mean of those is no
    # value between them.
    half = options.half and not layout.signed
    return decode_jpeg_2000(frame, claims, half=half, fast=fast)


def decode_jpeg_2000(
    frame: bytes, claims: Codestream, *, half: bool = False, fast: bool = False
) -> NDArray[Any]:
    """Decode a codestream whose claims have been checked.

    Parameters
    ----------
    frame
        The codestream.
    claims
        Its own.
    half
        Half the resolution will do. Where that cannot be had, or meets an error, all is decoded:
        whether a codestream is broken is judged by the whole of it.
    fast
        It is HTJ2K, and this process may be lost to it.

    Returns
    -------
    Integers, shape (rows, columns) of the whole image.
    """
    fast = fast and is_plain_and_whole(frame, claims.tiles)
    halved = _halved(frame, claims, fast) if half else None
    if halved is not None:
        return doubled(halved)[: claims.rows, : claims.columns]
    decoded = decode_fast(frame) if fast else None
    return imagecodecs.jpeg2k_decode(frame, numthreads=1) if decoded is None else decoded


def doubled(samples: NDArray[Any]) -> NDArray[Any]:
    """Double both sides: between neighbours comes their mean, after the last one itself again.

    Parameters
    ----------
    samples
        uint8 or uint16, shape (rows, columns); sample i comes to lie on 2 i.
    """
    # Three times as fast as OpenCV's warpAffine, and the same.
    rows, columns = samples.shape
    padded = cv2.copyMakeBorder(samples, 0, 1, 0, 1, cv2.BORDER_REPLICATE)
    left = padded[:, :-1]
    wide = cv2.merge((left, _mean(left, padded[:, 1:]))).reshape(rows + 1, 2 * columns)
    both = np.empty((2 * rows, 2 * columns), samples.dtype)
    both[::2], both[1::2] = wide[:-1], _mean(wide[:-1], wide[1:])
    return both


def _mean(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    mean: NDArray[Any] = cv2.addWeighted(first, 0.5, second, 0.5, 0.0)
    return mean


def _halved(frame: bytes, claims: Codestream, fast: bool) -> NDArray[Any] | None:
    """Decode all but the finest level; None where that cannot be, or meets an error."""
    # Elsewhere than at its origin, the grid's even positions may be the image's odd ones.
    if claims.signed or not _starts_at_origin(frame):
        return None
    halved = _by_openjph(frame) if fast else None
    if halved is None:
        halved = _by_pillow(frame, claims.precision)
    shape = (claims.rows + 1) // 2, (claims.columns + 1) // 2
    if halved is None or halved.shape != shape or halved.dtype not in (np.uint8, np.uint16):
        return None
    return halved


def _by_openjph(frame: bytes) -> NDArray[Any] | None:
    try:
        return decode_fast(frame, levels=1)
    except MemoryError:
        raise
    except Exception:
        return None


def _by_pillow(frame: bytes, precision: int) -> NDArray[Any] | None:
    """Decode at OpenJPEG as Pillow binds it: imagecodecs' binding leaves out no levels."""
    if not _has_short_header(frame):
        return None
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG2000",)) as image:
            setattr(image, "reduce", 1)  # noqa: B010
            samples = np.asarray(image)
    except MemoryError:
        raise
    except Exception:
        return None
    # Pillow widens samples to the whole of their container.
    narrowed: NDArray[Any] = samples >> (8 * samples.dtype.itemsize - precision)
    return narrowed


def _starts_at_origin(frame: bytes) -> bool:
    """Say whether image and tiles start where the reference grid does, in no JP2 (A.5.1, B.2)."""
    offsets = unpack_from(">2L8x2L", frame, 16)
    return frame[:4] == _START and not any(offsets)


def _has_short_header(frame: bytes) -> bool:
    """Say whether a tile or a comment comes soon: Pillow walks all segments before one."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(frame):
            return False
        marker, length = unpack_from(">HH", frame, at)
        if marker in (_TILE_PART, _COMMENT):
            return True
        at += 2 + length
    return False


def _encode(codes: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(codes, codecformat="j2k", reversible=True))


JPEG_2000 = Codec(
    name="JPEG 2000",
    lossless=("1.2.840.10008.1.2.4.90",),
    lossy=("1.2.840.10008.1.2.4.91",),
    starts=starts_jpeg_2000,
    read_claims=lambda frame, layout: read_jpeg_2000(frame),
    decode=decode_wavelet,
    encode=_encode,
    halves=True,
    bytes_per_pixel=OPENJPEG_BYTES_PER_PIXEL,
)
