"""PNG, JPEG and TIFF -> grey pixels. They say nothing of the patient, spacing or polarity."""

import io
from typing import Any, Literal, NamedTuple

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import TooLarge, UnreadableImage, UnsuitableImage, foreign_errors_as
from service.imaging import quiet as quiet
from service.imaging.codecs.codestream import Codestream
from service.imaging.codecs.jpeg_markers import PROGRESSIVE, SEQUENTIAL, jpeg_scans, read_jpeg
from service.imaging.frames import no_such_frame
from service.imaging.limits import ReadLimits, too_many_pixels, too_much_memory
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.polarity import background_is_bright
from service.imaging.sample_range import MIN_BITS, full_range, in_own_bits, without_painted
from service.imaging.tiff import TiffTags, read_tags

RasterKind = Literal["png", "jpeg", "tiff"]

POLARITY_GUESSED = Caveat(
    "polarity-guessed",
    "The file does not say whether air is black or white; it looked white and was inverted.",
)
TURNED = Caveat(
    "orientation-applied",
    "The image was turned as its EXIF orientation says; results are on the turned grid.",
)

BITS_GUESSED = Caveat(
    "bits-guessed",
    "No sample of this 16-bit file needs its upper bits, or but what was painted into it: it was "
    "taken for an image of as many bits as its largest sample needs.",
)

MAX_SAMPLES = 4
"""Of a pixel: red, green, blue and opacity."""

MAX_SCANS = 64
"""Scans of a progressive JPEG; each costs a pass over the whole image."""

JPEG_COLOUR_TOLERANCE = 8
"""Grey levels of 255 by which lossy compression may part the channels of a grey image."""

_ORIENTATION = 0x0112
_BASELINE, _BASELINE_BITS = 0xC0, 8
_PNG_BIT_DEPTH = 24
"""Where IHDR, which comes first, has it (PNG 11.2.1)."""


class Decoded(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    samples
        Grey, 8 or 16 bits, unsigned or two's complement, shape (rows, columns).
    bits
        That each has, as far as the file says.
    orientation
        EXIF orientation.
    zero_is_white
        The file says that its largest sample is black.
    by_palette
        Samples are a palette's, whose range is 16 bits, whichever of them an image needs.
    """

    samples: NDArray[Any]
    bits: int
    orientation: int
    zero_is_white: bool = False
    by_palette: bool = False


def read_raster_file(
    body: bytes, kind: RasterKind, limits: ReadLimits, frame: int | None = None
) -> Mammogram:
    """Decode a grey raster image of 8 to 16 bits.

    Red, green and blue that are equal count as grey, as do palettes of greys. EXIF orientation
    (TIFF 6.0 tag 274) is applied. Of 16 bits, those count that the largest sample needs that nobody
    painted. A bright background is inverted, unless a TIFF says that its zero is
    white. Signed samples keep their order. `frame` is a TIFF's page, from 1 on.

    Raises
    ------
    MammosegError
        400 for a broken file or a page that is not there, 413 for too many pixels, 422 for colour,
        several pages, transparency or another sample format.
    """
    error = UnreadableImage("image-unreadable", "The image cannot be decoded.")
    with foreign_errors_as(error, too_much_memory()):
        try:
            decoded = _decode(body, kind, limits, frame)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise too_many_pixels() from None
    samples, bits = in_own_bits(decoded.samples)
    in_doubt = decoded.bits == 16 and not decoded.by_palette
    samples, bits = without_painted(samples, bits) if in_doubt else (samples, decoded.bits)
    pixels = turn(full_range(samples, bits), decoded.orientation)
    caveats: tuple[Caveat, ...] = (TURNED,) if 2 <= decoded.orientation <= 8 else ()
    if bits < decoded.bits:
        caveats += (BITS_GUESSED,)
    is_bright = not decoded.zero_is_white and background_is_bright(pixels)
    if is_bright or decoded.zero_is_white:
        np.subtract(np.uint16(65535), pixels, out=pixels)
    if is_bright:
        caveats += (POLARITY_GUESSED,)
    return Mammogram(pixels, None, frame=frame, caveats=caveats)


def _decode(body: bytes, kind: RasterKind, limits: ReadLimits, frame: int | None) -> Decoded:
    if kind == "tiff":
        return _tiff(body, limits, frame)
    if frame not in (None, 1):
        raise no_such_frame()
    return (_png if kind == "png" else _jpeg)(body, limits)


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


def _png(body: bytes, limits: ReadLimits) -> Decoded:
    if body[_PNG_BIT_DEPTH] < 8:
        raise sample_format()
    with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
        samples = 1 if image.mode in ("L", "I", "I;16", "P") else 4
        _refuse_size(body, (image.height, image.width), samples * body[_PNG_BIT_DEPTH], limits)
        if getattr(image, "n_frames", 1) > 1:
            raise UnsuitableImage("multi-frame", "Animated images are not supported.")
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    return Decoded(_one_channel(imagecodecs.png_decode(body), 0), body[_PNG_BIT_DEPTH], orientation)


def _jpeg(body: bytes, limits: ReadLimits) -> Decoded:
    claims = read_jpeg(body, SEQUENTIAL | {PROGRESSIVE})
    bits = claims.components * claims.precision
    _refuse_size(body, (claims.rows, claims.columns), bits, limits)
    if claims.components not in (1, 3):
        raise not_greyscale()
    if jpeg_scans(body) > MAX_SCANS:
        raise TooLarge("too-many-scans", "The JPEG image has too many scans.")
    samples = _one_channel(imagecodecs.jpeg8_decode(body), JPEG_COLOUR_TOLERANCE)
    return Decoded(samples, claims.precision, _jpeg_orientation(body, claims))


def _jpeg_orientation(body: bytes, claims: Codestream) -> int:
    # Pillow, which knows EXIF and XMP, opens neither 12 bits nor lossless: it is shown a baseline
    # of 8 bits, of which it reads the header alone.
    header = bytearray(body)
    header[claims.at + 1], header[claims.at + 4] = _BASELINE, _BASELINE_BITS
    try:
        with Image.open(io.BytesIO(header), formats=("JPEG",)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _tiff(body: bytes, limits: ReadLimits, page: int | None) -> Decoded:
    tags = read_tags(body, page)
    _refuse_size(body, tags.padded, sum(tags.bits), limits)
    if not 1 <= len(tags.bits) <= MAX_SAMPLES:
        raise not_greyscale()
    bits = tags.bits[0]
    whole = not tags.signed or bits in (8, 16)
    if not tags.integers or len(set(tags.bits)) > 1 or not 8 <= bits <= 16 or not whole:
        raise sample_format()
    decoded = _interleaved(imagecodecs.tiff_decode(tags.body, index=tags.directory), tags)
    if tags.palette is not None:
        grey = _one_channel(tags.palette[decoded], 0)
        return Decoded(grey, 16, tags.orientation, by_palette=True)
    samples = _one_channel(_without_extra(decoded, tags.extra, bits), 0, bits)
    return Decoded(samples, bits, tags.orientation, tags.zero_is_white)


def _interleaved(decoded: NDArray[Any], tags: TiffTags) -> NDArray[Any]:
    """Return samples as (rows, columns[, samples]), also of planes that follow each other."""
    size = (tags.rows, tags.columns)
    if len(tags.bits) > 1 and decoded.shape == (len(tags.bits), *size):
        return np.moveaxis(decoded, 0, -1)
    if decoded.shape[:2] != size:
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.")
    return decoded


def _without_extra(
    samples: NDArray[Any], extra: tuple[bool, ...] | None, bits: int
) -> NDArray[Any]:
    """Drop what a TIFF says is neither grey nor red, green or blue, if no opacity shows through."""
    if extra is None or samples.ndim != 3:
        return samples
    first = samples.shape[2] - len(extra)
    for channel, is_opacity in enumerate(extra, start=first):
        if is_opacity:
            _refuse_transparency(samples[..., channel], bits)
    return samples[..., :first]


def _one_channel(samples: NDArray[Any], tolerance: int, bits: int = 16) -> NDArray[Any]:
    """Return the grey channel of (rows, columns[, 1 to 4]); the second or fourth is opacity."""
    if samples.dtype not in (np.uint8, np.uint16, np.int8, np.int16):
        raise sample_format()
    if samples.ndim == 2:
        return samples
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= MAX_SAMPLES:
        raise not_greyscale()
    if samples.shape[2] in (2, 4):
        _refuse_transparency(samples[..., -1], bits)
    if samples.shape[2] >= 3:
        red, green, blue = (samples[..., channel] for channel in range(3))
        # In place of wider copies: a worker's memory is bounded.
        if any(cv2.absdiff(other, green).max() > tolerance for other in (red, blue)):
            raise not_greyscale()
        return samples[..., 1]
    return samples[..., 0]


def _refuse_transparency(opacity: NDArray[Any], bits: int) -> None:
    low, high = (int(end) for end in cv2.minMaxLoc(np.ascontiguousarray(opacity))[:2])
    full = np.iinfo(opacity.dtype).max >> max(0, 8 * opacity.dtype.itemsize - bits)
    # 4095 throughout is the opacity of twelve bits that were written into sixteen.
    is_of_fewer_bits = low == high and low.bit_length() >= MIN_BITS and not low & (low + 1)
    if low < full and not is_of_fewer_bits:
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
