"""PNG, JPEG and TIFF -> grey pixels. They say nothing of the patient, spacing or polarity."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import UnreadableImage, UnsuitableImage
from service.imaging.admission import too_many_pixels
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.polarity import background_is_bright

RasterKind = Literal["png", "jpeg", "tiff"]

POLARITY_GUESSED = Caveat(
    "polarity-guessed",
    "The file does not say whether air is black or white; it looked white and was inverted.",
)

_GREY_16 = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))


def read_pixels(body: bytes, kind: RasterKind, max_pixels: int) -> NDArray[np.uint16]:
    """Decode a grey raster image.

    Returns
    -------
    uint16 over [0, 65535], shape (rows, columns).
    """
    try:
        with Image.open(io.BytesIO(body), formats=(kind.upper(),)) as image:
            if image.width * image.height > max_pixels:
                raise too_many_pixels()
            if getattr(image, "n_frames", 1) > 1:
                raise UnsuitableImage("multi-frame", "Images of several pages are not supported.")
            return _grey(ImageOps.exif_transpose(image))
    except (UnsuitableImage, UnreadableImage):
        raise
    except Exception:
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.") from None


def _grey(image: Image.Image) -> NDArray[np.uint16]:
    if image.mode in _GREY_16:
        return np.ascontiguousarray(np.asarray(image).astype(np.uint16))
    if image.mode == "P":
        image = image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 3:
        if pixels.shape[2] >= 3 and not (
            np.array_equal(pixels[..., 0], pixels[..., 1])
            and np.array_equal(pixels[..., 0], pixels[..., 2])
        ):
            raise UnsuitableImage("not-greyscale", "The image is not a grey-scale image.")
        pixels = pixels[..., 0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise UnsuitableImage("pixel-format", "Only 8-bit and 16-bit images are supported.")
    return pixels.astype(np.uint16) * np.uint16(257)


def to_mammogram(pixels: NDArray[np.uint16]) -> Mammogram:
    """Make a mammogram of grey pixels, inverted if its background is bright."""
    if background_is_bright(pixels):
        return Mammogram(np.uint16(65535) - pixels, None, caveats=(POLARITY_GUESSED,))
    return Mammogram(pixels, None)
