"""The same picture as PNG, JPEG and TIFF."""

import io
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from tests.corpus.encodings import REFERENCE, REFERENCE_8
from tests.corpus.variant import Variant, refused
from tests.corpus.view import Stored

BARE: dict[str, Any] = {"intent": "unstated", "laterality": "", "view": "", "spacing": None}
ORIENTATION = 0x0112


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def pictures(stored: Stored) -> Iterator[Variant]:
    """Yield every way to store grey in them that is read, and some that are not."""
    eight, twelve = (stored >> 4).astype(np.uint8), stored.astype(np.uint16)
    yield from _grey(eight, twelve)
    yield from _twelve_in_sixteen(twelve)
    yield from _pages_and_turns(eight)
    yield from _refusals(eight)


def _grey(eight: "np.ndarray[Any, Any]", twelve: "np.ndarray[Any, Any]") -> Iterator[Variant]:
    sixteen = twelve << 4 | twelve >> 8
    image = Image.fromarray(eight)
    opaque = np.full_like(eight, 255)
    files: dict[str, tuple[str, bytes | bytearray, str, bool]] = {
        "8.png": ("8 bits", _saved(image, "PNG"), REFERENCE_8, True),
        "16.png": ("16 bits", imagecodecs.png_encode(sixteen), REFERENCE, True),
        "rgb.png": ("grey as colour", _saved(image.convert("RGB"), "PNG"), REFERENCE_8, True),
        "opaque.png": (
            "with opacity, all opaque",
            imagecodecs.png_encode(np.dstack([eight, opaque])),
            REFERENCE_8,
            True,
        ),
        "palette.png": ("a palette of greys", _saved(image.convert("P"), "PNG"), REFERENCE_8, True),
        "8.jpg": ("8 bits", _saved(image, "JPEG", quality=98), REFERENCE_8, False),
        "progressive.jpg": (
            "progressive",
            _saved(image, "JPEG", quality=98, progressive=True),
            REFERENCE_8,
            False,
        ),
        "12.jpg": (
            "12 bits",
            imagecodecs.jpeg8_encode(twelve, level=98, bitspersample=12),
            REFERENCE,
            False,
        ),
        "8.tif": ("8 bits", _saved(image, "TIFF"), REFERENCE_8, True),
        "16.tif": ("16 bits", imagecodecs.tiff_encode(sixteen), REFERENCE, True),
        "big-endian.tif": (
            "big-endian",
            imagecodecs.tiff_encode(sixteen.copy(), byteorder=">"),
            REFERENCE,
            True,
        ),
        "lzw.tif": ("LZW", _saved(image, "TIFF", compression="tiff_lzw"), REFERENCE_8, True),
        "white-is-zero.tif": (
            "zero is white",
            imagecodecs.tiff_encode(255 - eight, photometric=0),
            REFERENCE_8,
            True,
        ),
        "signed.tif": (
            "signed",
            imagecodecs.tiff_encode((sixteen.astype(np.int32) - 32768).astype(np.int16)),
            REFERENCE,
            True,
        ),
        "palette.tif": ("a palette", _saved(image.convert("P"), "TIFF"), REFERENCE_8, True),
    }
    for name, (what, body, same_as, exactly) in files.items():
        yield Variant(
            name=f"picture/{name}",
            body=bytes(body),
            what=f"{name.rsplit('.', 1)[1].upper()}: {what}",
            rule="PNG, JFIF, TIFF 6.0",
            same_as=same_as,
            exactly=exactly,
            **BARE,
        )


def _twelve_in_sixteen(twelve: "np.ndarray[Any, Any]") -> Iterator[Variant]:
    files = {
        "12-in-16.png": imagecodecs.png_encode(twelve),
        "12-in-16.tif": imagecodecs.tiff_encode(twelve),
        "12-in-16.jpg": imagecodecs.jpeg8_encode(twelve, lossless=True, bitspersample=16),
        "signed-12-in-16.tif": imagecodecs.tiff_encode(
            (twelve.astype(np.int32) - 2048).astype("i2")
        ),
    }
    for name, body in files.items():
        yield Variant(
            name=f"picture/{name}",
            body=bytes(body),
            what="12 bits in 16, and nothing says so",
            rule="-",
            same_as=REFERENCE,
            warnings=("bits-guessed",),
            **BARE,
        )


def _pages_and_turns(eight: "np.ndarray[Any, Any]") -> Iterator[Variant]:
    image = Image.fromarray(eight)
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    for kind in ("PNG", "JPEG", "TIFF"):
        body = _saved(Image.fromarray(eight[::-1, ::-1].copy()), kind, exif=exif)
        yield Variant(
            name=f"picture/turned.{kind.lower()}",
            body=body,
            what="stored upside down, as its EXIF orientation says",
            rule="Exif 4.6.4 A, orientation",
            same_as=REFERENCE_8,
            exactly=kind != "JPEG",
            warnings=("orientation-applied",),
            **BARE,
        )
    yield Variant(
        name="picture/inverted.png",
        body=_saved(Image.fromarray(255 - eight), "PNG"),
        what="air is white, and nothing says so",
        rule="-",
        same_as=REFERENCE_8,
        warnings=("polarity-guessed",),
        **BARE,
    )
    pages = _saved(Image.fromarray(eight.T.copy()), "TIFF", save_all=True, append_images=[image])
    yield refused("picture/pages.tif", pages, "two pages", "TIFF 6.0", 422, "multi-frame")
    yield Variant(
        name="picture/second-page.tif",
        body=pages,
        what="the second of two pages",
        rule="TIFF 6.0",
        query="frame=2",
        same_as=REFERENCE_8,
        **BARE,
    )


def _refusals(eight: "np.ndarray[Any, Any]") -> Iterator[Variant]:
    image = Image.fromarray(eight)
    files: dict[str, tuple[str, bytes | bytearray, str]] = {
        "colour.png": (
            "colour",
            imagecodecs.png_encode(np.dstack([eight, eight // 2, eight])),
            "not-greyscale",
        ),
        "cmyk.jpg": ("CMYK", _saved(Image.merge("CMYK", [image] * 4), "JPEG"), "not-greyscale"),
        "transparent.png": (
            "transparent",
            imagecodecs.png_encode(np.dstack([eight, eight])),
            "transparency",
        ),
        "bilevel.tif": ("one bit", _saved(image.convert("1"), "TIFF"), "sample-format"),
        "float.tif": (
            "floating point",
            imagecodecs.tiff_encode(eight.astype(np.float32)),
            "sample-format",
        ),
    }
    for name, (what, body, code) in files.items():
        yield refused(f"picture/{name}", bytes(body), what, "-", 422, code)
