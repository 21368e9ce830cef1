"""PNG, JPEG and TIFF -> grey pixels. They say nothing of the patient, spacing or polarity."""

import io
from typing import Literal

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import MammosegError, TooLarge, UnreadableImage, UnsuitableImage
from service.imaging import codestream
from service.imaging import containment as containment
from service.imaging.admission import too_many_pixels
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

MOST_SCANS = 64
"""Scans of a progressive JPEG; each costs a pass over the whole image."""

JPEG_COLOUR_TOLERANCE = 8
"""Grey levels of 255 by which lossy compression may part the channels of a grey image."""

_ORIENTATION = 0x0112


def read_raster_file(body: bytes, kind: RasterKind, max_pixels: int) -> Mammogram:
    """Decode a grey raster image of 8 or 16 bits.

    Red, green and blue that are equal count as grey, as do palettes of greys. EXIF orientation
    (TIFF 6.0 tag 274) is applied. A bright background is inverted, unless a TIFF says that its
    zero is white.

    Raises
    ------
    MammosegError
        400 for a broken file, 413 for too many pixels, 422 for colour, several pages,
        transparency or another sample format.
    """
    read = {"png": _png, "jpeg": _jpeg, "tiff": _tiff}[kind]
    try:
        samples, orientation, polarity_known = read(body, max_pixels)
    except MammosegError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels() from None
    except Exception:
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.") from None
    pixels = samples if samples.dtype == np.uint16 else samples.astype(np.uint16) * np.uint16(257)
    pixels = turn(pixels.astype(np.uint16, copy=False), orientation)
    caveats = (TURNED,) if 2 <= orientation <= 8 else ()
    if not polarity_known and background_is_bright(pixels):
        return Mammogram(np.uint16(65535) - pixels, None, caveats=(*caveats, POLARITY_GUESSED))
    return Mammogram(pixels, None, caveats=caveats)


def turn(pixels: NDArray[np.uint16], orientation: int) -> NDArray[np.uint16]:
    """Bring stored pixels upright (EXIF orientation 1 to 8; anything else counts as 1)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _png(body: bytes, max_pixels: int) -> tuple[Samples, int, bool]:
    with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
        _refuse_size(image.height, image.width, max_pixels)
        if getattr(image, "n_frames", 1) > 1:
            raise multi_page()
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    return _one_channel(imagecodecs.png_decode(body), 0), orientation, False


def _jpeg(body: bytes, max_pixels: int) -> tuple[Samples, int, bool]:
    claims = codestream.read_jpeg(body, codestream.SEQUENTIAL | {codestream.PROGRESSIVE})
    _refuse_size(claims.rows, claims.columns, max_pixels)
    if claims.components not in (1, 3):
        raise not_greyscale()
    if body.count(b"\xff\xda") > MOST_SCANS:
        raise TooLarge("too-many-scans", "The JPEG image has too many scans.")
    codestream.check_jpeg_end(body)
    samples = imagecodecs.jpeg8_decode(body)
    if claims.precision not in (8, 16):
        samples = samples << (8 * samples.dtype.itemsize - claims.precision)
    return _one_channel(samples, JPEG_COLOUR_TOLERANCE), _jpeg_orientation(body), False


def _jpeg_orientation(body: bytes) -> int:
    try:
        with Image.open(io.BytesIO(body), formats=("JPEG",)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # Pillow does not open 12-bit and lossless JPEG; those come from scanners, upright.
        return 1


def _tiff(body: bytes, max_pixels: int) -> tuple[Samples, int, bool]:
    tags = read_tags(body)
    _refuse_size(tags.rows, tags.columns, max_pixels)
    if tags.pages > 1:
        raise multi_page()
    if not tags.unsigned or set(tags.bits) not in ({8}, {16}):
        raise UnsuitableImage("sample-format", "Only 8-bit and 16-bit images are supported.")
    samples = imagecodecs.tiff_decode(body)
    if samples.shape[:2] != (tags.rows, tags.columns):
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.")
    if tags.palette is not None:
        return _one_channel(tags.palette[samples], 0), tags.orientation, False
    samples = _one_channel(samples, 0)
    if tags.zero_is_white:
        samples = np.iinfo(samples.dtype).max - samples
    return samples, tags.orientation, tags.zero_is_white


def _one_channel(samples: Samples, tolerance: int) -> Samples:
    """Give the grey channel of (rows, columns[, 1 to 4]); the second or fourth is opacity."""
    if samples.dtype not in (np.uint8, np.uint16):
        raise UnsuitableImage("sample-format", "Only 8-bit and 16-bit images are supported.")
    if samples.ndim == 2:
        return samples
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise not_greyscale()
    if samples.shape[2] in (2, 4) and samples[..., -1].min() < np.iinfo(samples.dtype).max:
        raise UnsuitableImage("transparency", "The image has transparent pixels.")
    if samples.shape[2] >= 3:
        red, green, blue = (samples[..., channel] for channel in range(3))
        # Unsigned and in place of wider copies: a worker's memory is bounded.
        if any(cv2.absdiff(other, green).max() > tolerance for other in (red, blue)):
            raise not_greyscale()
        return samples[..., 1]
    return samples[..., 0]


def _refuse_size(rows: int, columns: int, max_pixels: int) -> None:
    if rows < 1 or columns < 1:
        raise UnreadableImage("image-size", "The image has no pixels.")
    if rows * columns > max_pixels:
        raise too_many_pixels()


def multi_page() -> UnsuitableImage:
    """Give the error for several images in one file."""
    return UnsuitableImage("multi-frame", "Images of several pages are not supported.")


def not_greyscale() -> UnsuitableImage:
    """Give the error for colour."""
    return UnsuitableImage("not-greyscale", "The image is not a grey-scale image.")
