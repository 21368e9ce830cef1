"""JPEG: baseline, extended, and lossless (ISO/IEC 10918-1; PS3.5 8.2.1)."""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from service.imaging.codecs.codec import Codec, DecodeOptions
from service.imaging.codecs.codestream import Codestream
from service.imaging.codecs.jpeg_markers import jpeg_scans, read_jpeg, starts_jpeg
from service.imaging.pixel_layout import PixelLayout


def _decode(
    frame: bytes, layout: PixelLayout, claims: Codestream, options: DecodeOptions
) -> NDArray[Any]:
    jpeg_scans(frame)
    return imagecodecs.jpeg8_decode(frame)


def _encode(codes: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.ljpeg_encode(codes, bitspersample=16))


JPEG = Codec(
    name="JPEG",
    lossless=("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57"),
    lossy=("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),
    starts=starts_jpeg,
    read_claims=lambda frame, layout: read_jpeg(frame),
    decode=_decode,
    encode=_encode,
)
