"""PNG, JPEG and TIFF -> grey pixels. They say nothing of the patient, spacing or polarity."""

import io
from typing import Any, Literal

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import TooLarge, UnreadableImage, UnsuitableImage, foreign_errors_as
from service.imaging import codestream
from service.imaging import quiet as quiet
from service.imaging.frames import no_such_frame
from service.imaging.limits import ReadLimits, too_many_pixels, too_much_memory
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.polarity import background_is_bright
from service.imaging.tiff import read_tags

RasterKind = Literal["png", "jpeg", "tiff"]
Samples = NDArray[np.uint8] | NDArray[np.uint16]

POLARITY_GUESSED = Caveat(
    "polarity-guessed",
    "The file does not say whether air is black or white; it looked white and was inverted.",
)
TURNED = Caveat(
    "orientation-applied",
    "The image was turned as its EXIF orientation says; results are on the turned grid.",
)

MAX_SAMPLES = 4
"""Of a pixel: red, green, blue and opacity."""

MAX_SCANS = 64
"""Scans of a progressive JPEG; each costs a pass over the whole image."""

JPEG_COLOUR_TOLERANCE = 8
"""Grey levels of 255 by which lossy compression may part the channels of a grey image."""

_ORIENTATION = 0x0112
_PNG_BIT_DEPTH = 24
"""Where IHDR, which comes first, has it (PNG 11.2.1)."""


def read_raster_file(
    body: bytes, kind: RasterKind, limits: ReadLimits, frame: int | None = None
) -> Mammogram:
    """Decode a grey raster image of 8 to 16 bits.

    Red, green and blue that are equal count as grey, as do palettes of greys. EXIF orientation
    (TIFF 6.0 tag 274) is applied. A bright background is inverted, unless a TIFF says that its
    zero is white. Signed samples keep their order. `frame` is a TIFF's page, from 1 on.

    Raises
    ------
    MammosegError
        400 for a broken file or a page that is not there, 413 for too many pixels, 422 for colour,
        several pages, transparency or another sample format.
    """
    error = UnreadableImage("image-unreadable", "The image cannot be decoded.")
    with foreign_errors_as(error, too_much_memory()):
        try:
            if kind == "tiff":
                samples, orientation, polarity_known = _tiff(body, limits, frame)
            elif frame not in (None, 1):
                raise no_such_frame()
            else:
                samples, orientation = (_png if kind == "png" else _jpeg)(body, limits)
                polarity_known = False
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise too_many_pixels() from None
    pixels = turn(_sixteen_bits(samples), orientation)
    caveats: tuple[Caveat, ...] = (TURNED,) if 2 <= orientation <= 8 else ()
    if not polarity_known and background_is_bright(pixels):
        np.subtract(np.uint16(65535), pixels, out=pixels)
        caveats += (POLARITY_GUESSED,)
    return Mammogram(pixels, None, frame=frame, caveats=caveats)


def _sixteen_bits(samples: Samples) -> NDArray[np.uint16]:
    if samples.dtype == np.uint16:
        return samples.astype(np.uint16, copy=False)
    return samples.astype(np.uint16) * np.uint16(257)


def turn(pixels: NDArray[np.uint16], orientation: int) -> NDArray[np.uint16]:
    """Bring stored pixels upright (EXIF orientation 1 to 8; anything else counts as 1).

    `pixels` are uint16, shape (rows, columns); a quarter turn swaps the sides.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _png(body: bytes, limits: ReadLimits) -> tuple[Samples, int]:
    if body[_PNG_BIT_DEPTH] < 8:
        raise sample_format()
    with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
        samples = 1 if image.mode in ("L", "I", "I;16", "P") else 4
        _refuse_size(body, (image.height, image.width), samples * body[_PNG_BIT_DEPTH], limits)
        if getattr(image, "n_frames", 1) > 1:
            raise UnsuitableImage("multi-frame", "Animated images are not supported.")
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    return _one_channel(imagecodecs.png_decode(body), 0), orientation


def _jpeg(body: bytes, limits: ReadLimits) -> tuple[Samples, int]:
    claims = codestream.read_jpeg(body, codestream.SEQUENTIAL | {codestream.PROGRESSIVE})
    bits = claims.components * claims.precision
    _refuse_size(body, (claims.rows, claims.columns), bits, limits)
    if claims.components not in (1, 3):
        raise not_greyscale()
    if codestream.jpeg_scans(body) > MAX_SCANS:
        raise TooLarge("too-many-scans", "The JPEG image has too many scans.")
    samples = imagecodecs.jpeg8_decode(body)
    if claims.precision not in (8, 16):
        samples = samples << (8 * samples.dtype.itemsize - claims.precision)
    return _one_channel(samples, JPEG_COLOUR_TOLERANCE), _jpeg_orientation(body)


def _jpeg_orientation(body: bytes) -> int:
    try:
        with Image.open(io.BytesIO(body), formats=("JPEG",)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # Pillow does not open 12-bit and lossless JPEG; those come from scanners, upright.
        return 1


def _tiff(body: bytes, limits: ReadLimits, page: int | None) -> tuple[Samples, int, bool]:
    tags = read_tags(body, page)
    _refuse_size(body, tags.padded, sum(tags.bits), limits)
    if not 1 <= len(tags.bits) <= MAX_SAMPLES:
        raise not_greyscale()
    bits = tags.bits[0]
    whole = not tags.signed or bits in (8, 16)
    if not tags.integers or len(set(tags.bits)) > 1 or not 8 <= bits <= 16 or not whole:
        raise sample_format()
    decoded: NDArray[Any] = imagecodecs.tiff_decode(tags.body, index=tags.directory)
    if decoded.shape[:2] != (tags.rows, tags.columns):
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.")
    if tags.palette is not None:
        return _one_channel(tags.palette[decoded], 0), tags.orientation, False
    decoded = _without_extra(decoded, tags.extra)
    samples = _one_channel(_lifted(decoded) if tags.signed else decoded, 0)
    if bits not in (8, 16):
        np.left_shift(samples, 16 - bits, out=samples)
    if tags.zero_is_white:
        samples = np.iinfo(samples.dtype).max - samples
    return samples, tags.orientation, tags.zero_is_white


def _without_extra(samples: NDArray[Any], extra: tuple[bool, ...] | None) -> NDArray[Any]:
    """Drop what a TIFF says is neither grey nor red, green or blue, if no opacity shows through."""
    if extra is None or samples.ndim != 3:
        return samples
    first = samples.shape[2] - len(extra)
    for channel, is_opacity in enumerate(extra, start=first):
        if is_opacity:
            _refuse_transparency(samples[..., channel])
    return samples[..., :first]


def _lifted(samples: NDArray[Any]) -> Samples:
    """Move two's complement up by half the range, so that the lowest value is 0."""
    unsigned: Samples = samples.view(f"u{samples.dtype.itemsize}")
    unsigned ^= unsigned.dtype.type(1 << (8 * samples.dtype.itemsize - 1))
    return unsigned


def _one_channel(samples: Samples, tolerance: int) -> Samples:
    """Return the grey channel of (rows, columns[, 1 to 4]); the second or fourth is opacity."""
    if samples.dtype not in (np.uint8, np.uint16):
        raise sample_format()
    if samples.ndim == 2:
        return samples
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= MAX_SAMPLES:
        raise not_greyscale()
    if samples.shape[2] in (2, 4):
        _refuse_transparency(samples[..., -1])
    if samples.shape[2] >= 3:
        red, green, blue = (samples[..., channel] for channel in range(3))
        # Unsigned and in place of wider copies: a worker's memory is bounded.
        if any(cv2.absdiff(other, green).max() > tolerance for other in (red, blue)):
            raise not_greyscale()
        return samples[..., 1]
    return samples[..., 0]


def _refuse_transparency(opacity: NDArray[Any]) -> None:
    if opacity.min() < np.iinfo(opacity.dtype).max:
        raise UnsuitableImage("transparency", "The image has transparent pixels.")


def _refuse_size(body: bytes, size: tuple[int, int], bits: int, limits: ReadLimits) -> None:
    """Refuse no pixels, too many, and too many of too many bits."""
    pixels = size[0] * size[1]
    if min(size) < 1:
        raise UnreadableImage("image-size", "The image has no pixels.")
    if pixels > limits.max_pixels:
        raise too_many_pixels()
    # As measured: what is decoded, as much again while channels are compared, and the grey result.
    limits.refuse_memory(len(body) + pixels * (5 + 2 * bits // 8))


def sample_format() -> UnsuitableImage:
    """Return the error for samples that are not integers of 8 to 16 bits."""
    return UnsuitableImage(
        "sample-format", "Only images of 8 to 16 bits a sample, in integers, are supported."
    )


def not_greyscale() -> UnsuitableImage:
    """Return the error for colour."""
    return UnsuitableImage("not-greyscale", "The image is not a grey-scale image.")
