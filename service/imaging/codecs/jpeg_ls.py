"""JPEG-LS, lossless and near-lossless (ISO/IEC 14495-1; PS3.5 8.2.3)."""

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
    # Without an end CharLS 2 reads on for four seconds, whatever the size.
    jpeg_scans(frame)
    return imagecodecs.jpegls_decode(frame)


def _encode(codes: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.jpegls_encode(codes))


JPEG_LS = Codec(
    name="JPEG-LS",
    lossless=("1.2.840.10008.1.2.4.80",),
    lossy=("1.2.840.10008.1.2.4.81",),
    starts=starts_jpeg,
    read_claims=lambda frame, layout: read_jpeg(frame),
    decode=_decode,
    encode=_encode,
)
