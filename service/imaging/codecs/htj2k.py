"""HTJ2K, JPEG 2000 with a block coder of high throughput (ISO/IEC 15444-15; PS3.5 8.2.13)."""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from service.imaging.codecs.codec import Codec, DecodeOptions
from service.imaging.codecs.codestream import Codestream
from service.imaging.codecs.jpeg_2000 import (
    OPENJPEG_BYTES_PER_PIXEL,
    decode_wavelet,
    read_jpeg_2000,
    starts_jpeg_2000,
)
from service.imaging.pixel_layout import PixelLayout


def _decode(
    frame: bytes, layout: PixelLayout, claims: Codestream, options: DecodeOptions
) -> NDArray[Any]:
    return decode_wavelet(frame, layout, claims, options, fast=options.sandboxed)


def _encode(codes: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.htj2k_encode(codes, reversible=True))


HTJ2K = Codec(
    name="HTJ2K",
    lossless=("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"),
    lossy=("1.2.840.10008.1.2.4.203",),
    starts=starts_jpeg_2000,
    read_claims=lambda frame, layout: read_jpeg_2000(frame),
    decode=_decode,
    encode=_encode,
    halves=True,
    bytes_per_pixel=OPENJPEG_BYTES_PER_PIXEL,
)
