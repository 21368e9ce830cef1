"""The tags of a TIFF file that decide how its samples are to be read (TIFF 6.0)."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from service.errors import UnreadableImage

_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_PALETTE, _SAMPLE_FORMAT = 320, 339
_UNSIGNED = 1
_WHITE_IS_ZERO, _PALETTE_COLOUR = 0, 3


@dataclass(frozen=True, slots=True, eq=False)
class TiffTags:
    """What the first directory says.

    Attributes
    ----------
    rows, columns
        Size in pixels.
    pages
        2 stands for any number above one.
    bits
        Bits of each sample of a pixel.
    unsigned
        The samples are unsigned integers.
    zero_is_white
        PhotometricInterpretation 0.
    palette
        uint16, shape (entries, 3): red, green and blue of each index; None without one.
    orientation
        EXIF orientation, 1 to 8.
    """

    rows: int
    columns: int
    pages: int
    bits: tuple[int, ...]
    unsigned: bool
    zero_is_white: bool
    palette: NDArray[np.uint16] | None
    orientation: int


def read_tags(body: bytes) -> TiffTags:
    """Read the tags of the first page.

    Raises
    ------
    Exception
        Whatever Pillow raises for a broken directory; the caller contains it.
    """
    directory = ImageFileDirectory_v2(body[: 16 if body[2:3] in b"+" or body[3:4] == b"+" else 8])
    stream = io.BytesIO(body)
    stream.seek(directory.next)
    directory.load(stream)
    photometric = directory.get(_PHOTOMETRIC)
    return TiffTags(
        rows=int(directory[_ROWS]),
        columns=int(directory[_COLUMNS]),
        pages=2 if directory.next else 1,
        bits=tuple(directory.get(_BITS, (1,))),
        unsigned=set(directory.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == {_UNSIGNED},
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
