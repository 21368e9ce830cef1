"""The tags of a TIFF file that decide how its samples are to be read (TIFF 6.0)."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from struct import calcsize, unpack_from

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from service.errors import TooLarge, UnreadableImage
from service.imaging.frames import no_such_frame, several_frames

_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_NEW_SUBFILE, _SUBFILE, _PALETTE, _SAMPLE_FORMAT = 254, 255, 320, 339
_REDUCED_OR_MASK, _REDUCED = 0b101, 2
_UNSIGNED, _SIGNED = 1, 2
_WHITE_IS_ZERO, _PALETTE_COLOUR = 0, 3

MOST_DIRECTORIES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class TiffTags:
    """What the directory of one page says.

    Attributes
    ----------
    directory
        Its place among all directories of the file, from 0 on.
    rows, columns
        Size in pixels.
    bits
        Bits of each sample of a pixel.
    integers
        The samples are integers, signed or not.
    signed
        They are two's complement.
    zero_is_white
        PhotometricInterpretation 0.
    palette
        uint16, shape (entries, 3): red, green and blue of each index; None without one.
    orientation
        EXIF orientation, 1 to 8.
    """

    directory: int
    rows: int
    columns: int
    bits: tuple[int, ...]
    integers: bool
    signed: bool
    zero_is_white: bool
    palette: NDArray[np.uint16] | None
    orientation: int


def read_tags(body: bytes, page: int | None) -> TiffTags:
    """Read the tags of a page.

    Parameters
    ----------
    body
        The file.
    page
        Which one, from 1 on; None for the only one.

    Raises
    ------
    MammosegError
        The file has several pages and none is asked for, or not the one asked for.
    Exception
        Whatever `struct` and Pillow raise for a broken directory; the caller contains it.
    """
    pages = list(islice(_pages(body), page or 2))
    if page is None and len(pages) > 1:
        raise several_frames()
    if not pages:
        raise UnreadableImage("image-unreadable", "The file holds no image.")
    if page is not None and page > len(pages):
        raise no_such_frame()
    index, offset = pages[-1]
    directory = ImageFileDirectory_v2(body[: 16 if _is_big(body) else 8])
    stream = io.BytesIO(body)
    stream.seek(offset)
    directory.load(stream)
    return _tags(index, directory)


def _pages(body: bytes) -> Iterator[tuple[int, int]]:
    """Give number and offset of the directory of every page.

    Those of reduced images and of masks are none (TIFF 6.0, NewSubfileType and SubfileType).
    """
    order = "<" if body[:2] == b"II" else ">"
    link, count = ("Q", "Q") if _is_big(body) else ("L", "H")
    entry_bytes = calcsize(f"=HH{link}{link}")
    (offset,) = unpack_from(f"{order}{link}", body, calcsize(f"={link}"))
    for index in range(MOST_DIRECTORIES):
        if offset == 0:
            return
        (entries,) = unpack_from(f"{order}{count}", body, offset)
        first = offset + calcsize(f"={count}")
        # Entries are sorted by tag, and the two that matter have the lowest numbers.
        heads = range(first, first + min(entries, 2) * entry_bytes, entry_bytes)
        values = calcsize(f"=HH{link}")
        if not any(_is_no_page(body, order, at, at + values) for at in heads):
            yield index, offset
        (offset,) = unpack_from(f"{order}{link}", body, first + entries * entry_bytes)
    raise TooLarge("too-many-frames", "The TIFF file has too many pages.")


def _is_no_page(body: bytes, order: str, tag_at: int, value_at: int) -> bool:
    (tag,) = unpack_from(f"{order}H", body, tag_at)
    if tag == _NEW_SUBFILE:
        return bool(unpack_from(f"{order}L", body, value_at)[0] & _REDUCED_OR_MASK)
    return bool(tag == _SUBFILE) and unpack_from(f"{order}H", body, value_at) == (_REDUCED,)


def _is_big(body: bytes) -> bool:
    return b"+" in body[2:4]


def _tags(index: int, directory: ImageFileDirectory_v2) -> TiffTags:
    photometric = directory.get(_PHOTOMETRIC)
    formats = set(directory.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
    return TiffTags(
        directory=index,
        rows=int(directory[_ROWS]),
        columns=int(directory[_COLUMNS]),
        bits=tuple(directory.get(_BITS, (1,))),
        integers=formats in ({_UNSIGNED}, {_SIGNED}),
        signed=formats == {_SIGNED},
        zero_is_white=photometric == _WHITE_IS_ZERO,
        palette=_palette(directory) if photometric == _PALETTE_COLOUR else None,
        orientation=int(directory.get(_ORIENTATION, 1)),
    )


def _palette(directory: ImageFileDirectory_v2) -> NDArray[np.uint16]:
    entries = directory[_PALETTE]
    bits = directory.get(_BITS, (1,))[0]
    if len(entries) != 3 * 2**bits:
        raise UnreadableImage("image-unreadable", "The image cannot be decoded.")
    palette: NDArray[np.uint16] = np.asarray(entries, np.uint16).reshape(3, -1).T
    if not (palette & 0xFF).any():
        # Many writers shift 8-bit colours up in place of scaling them.
        palette = (palette // 256 * 257).astype(np.uint16)
    return palette
