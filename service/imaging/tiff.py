"""The tags of a TIFF or BigTIFF file that decide how its samples are to be read (TIFF 6.0).

Read here and not by a library, so that what is checked is what the decoder goes by: an entry that
comes twice, or a value that is read in two ways, would let it see another image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from struct import calcsize, pack_into, unpack_from
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.errors import TooLarge, UnreadableImage
from service.imaging.frames import no_such_frame, several_frames

_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_NEW_SUBFILE, _SUBFILE, _SAMPLES, _PALETTE, _SAMPLE_FORMAT = 254, 255, 277, 320, 339
_TILE_COLUMNS, _TILE_ROWS, _DEPTH, _EXTRA_SAMPLES = 322, 323, 32997, 338
_WANTED = frozenset(
    (_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _ORIENTATION, _NEW_SUBFILE, _SUBFILE, _SAMPLES)
) | {_PALETTE, _SAMPLE_FORMAT, _TILE_COLUMNS, _TILE_ROWS, _DEPTH, _EXTRA_SAMPLES}
_REDUCED_OR_MASK, _REDUCED = 0b101, 2
_UNSIGNED, _SIGNED, _UNDEFINED = 1, 2, 4
"""Of SampleFormat; undefined data is read as unsigned integers (TIFF 6.0 section 19)."""

_OPACITY = frozenset((1, 2))
"""Of ExtraSamples: associated and unassociated alpha. 0 is unspecified data (section 18)."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE_COLOUR = 0, 1, 3

_INTEGERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 16: "Q", 17: "q"}
"""Field types, in the words of `struct`."""

MAX_ENTRIES = 4096
"""Of a directory; an image has about twenty."""

_MAX_VALUES = 3 << 16
"""A palette of 16 bits has so many."""

MAX_DIRECTORIES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class TiffTags:
    """What the directory of one page says.

    Attributes
    ----------
    body
        The file, in words that its decoder understands.
    directory
        Its position among all directories of the file, from 0 on.
    rows, columns
        Size in pixels.
    padded
        Rows and columns that are decoded: as many as fill whole tiles.
    bits
        Bits of each sample of a pixel.
    extra
        Of each sample after grey, or red, green and blue, whether it is opacity; None where the
        file does not say.
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

    body: bytes
    directory: int
    rows: int
    columns: int
    padded: tuple[int, int]
    bits: tuple[int, ...]
    extra: tuple[bool, ...] | None
    integers: bool
    signed: bool
    zero_is_white: bool
    palette: NDArray[np.uint16] | None
    orientation: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How a directory is written: byte order, and the words of `struct` for offsets and counts."""

    order: str
    offset: str
    count: str

    @classmethod
    def of(cls, body: bytes) -> Self:
        big = body[2:4] in (b"+\0", b"\0+")
        return cls("<" if body[:2] == b"II" else ">", *("QQ" if big else "LH"))

    @property
    def head_bytes(self) -> int:
        """Length of an entry's tag, type and count."""
        return calcsize(f"=HH{self.offset}")

    @property
    def entry_bytes(self) -> int:
        return self.head_bytes + calcsize(f"={self.offset}")

    def read(self, words: str, body: bytes, at: int) -> tuple[int, ...]:
        return unpack_from(f"{self.order}{words}", body, at)

    def value_at(self, body: bytes, at: int) -> tuple[str, int]:
        """Return the words of `struct` for an entry's values, and where they are."""
        _, kind, count = self.read(f"HH{self.offset}", body, at)
        words, start = f"{count}{_INTEGERS[kind]}", at + self.head_bytes
        if calcsize(f"={words}") > self.entry_bytes - self.head_bytes:
            (start,) = self.read(self.offset, body, start)
        return words, start

    def entries(self, body: bytes, at: int) -> range:
        """Return the offsets of a directory's entries; at their end is the next directory's."""
        (count,) = self.read(self.count, body, at)
        if count > MAX_ENTRIES:
            raise TooLarge("too-many-elements", "The TIFF file has too many tags.")
        first = at + calcsize(f"={self.count}")
        return range(first, first + count * self.entry_bytes, self.entry_bytes)


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
        The file has several pages and none is asked for, or not the one asked for; or its
        directory is broken or too large.
    Exception
        Whatever `struct` and a lookup raise for a broken directory; the caller contains it.
    """
    form = _Form.of(body)
    pages = list(islice(_pages(form, body), page or 2))
    if page is None and len(pages) > 1:
        raise several_frames()
    if not pages:
        raise _unreadable()
    if page is not None and page > len(pages):
        raise no_such_frame()
    index, offset = pages[-1]
    values = _values(form, body, offset)
    return _tags(index, values, _without_undefined(form, body, offset, values))


def _without_undefined(
    form: _Form, body: bytes, offset: int, values: dict[int, tuple[int, ...]]
) -> bytes:
    """Return the file with undefined samples called unsigned: the decoder refuses the former."""
    formats = values.get(_SAMPLE_FORMAT, ())
    if _UNDEFINED not in formats:
        return body
    values[_SAMPLE_FORMAT] = tuple(_UNSIGNED if one == _UNDEFINED else one for one in formats)
    entries = form.entries(body, offset)
    at = next(at for at in entries if form.read("H", body, at) == (_SAMPLE_FORMAT,))
    changed = bytearray(body)
    words, start = form.value_at(body, at)
    pack_into(f"{form.order}{words}", changed, start, *values[_SAMPLE_FORMAT])
    return bytes(changed)


def _pages(form: _Form, body: bytes) -> Iterator[tuple[int, int]]:
    """Yield number and offset of the directory of every page.

    Those of reduced images and of masks are none (TIFF 6.0, NewSubfileType and SubfileType).
    """
    (offset,) = form.read(form.offset, body, calcsize(f"={form.offset}"))
    for index in range(MAX_DIRECTORIES):
        if offset == 0:
            return
        entries = form.entries(body, offset)
        # Entries are sorted by tag, and the two that matter have the lowest numbers.
        if not any(_is_no_page(form, body, at) for at in entries[:2]):
            yield index, offset
        (offset,) = form.read(form.offset, body, entries.stop)
    raise TooLarge("too-many-frames", "The TIFF file has too many pages.")


def _is_no_page(form: _Form, body: bytes, at: int) -> bool:
    (tag,) = form.read("H", body, at)
    if tag == _NEW_SUBFILE:
        return bool(form.read("L", body, at + form.head_bytes)[0] & _REDUCED_OR_MASK)
    return bool(tag == _SUBFILE) and form.read("H", body, at + form.head_bytes) == (_REDUCED,)


def _values(form: _Form, body: bytes, offset: int) -> dict[int, tuple[int, ...]]:
    """Return the values of the tags that matter here."""
    found: dict[int, tuple[int, ...]] = {}
    for at in form.entries(body, offset):
        tag, kind, count = form.read(f"HH{form.offset}", body, at)
        if tag not in _WANTED or (tag == _EXTRA_SAMPLES and count == 0):
            continue
        if tag in found or kind not in _INTEGERS or not 1 <= count <= _MAX_VALUES:
            raise _unreadable()
        words, start = form.value_at(body, at)
        found[tag] = form.read(words, body, start)
    return found


def _tags(index: int, values: dict[int, tuple[int, ...]], body: bytes) -> TiffTags:
    photometric = values.get(_PHOTOMETRIC, (_BLACK_IS_ZERO,))[0]
    formats = set(values.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
    if values.get(_DEPTH, (1,)) != (1,):
        raise several_frames()
    rows, columns, bits = values[_ROWS][0], values[_COLUMNS][0], _bits(values)
    return TiffTags(
        body=body,
        directory=index,
        rows=rows,
        columns=columns,
        padded=(
            _padded(rows, values.get(_TILE_ROWS, (1,))[0]),
            _padded(columns, values.get(_TILE_COLUMNS, (1,))[0]),
        ),
        bits=bits,
        extra=_extra(values, len(bits)),
        integers=formats in ({_UNSIGNED}, {_SIGNED}),
        signed=formats == {_SIGNED},
        zero_is_white=photometric == _WHITE_IS_ZERO,
        palette=_palette(values) if photometric == _PALETTE_COLOUR else None,
        orientation=values.get(_ORIENTATION, (1,))[0],
    )


def _padded(side: int, tile: int) -> int:
    if tile < 1:
        raise _unreadable()
    return -(-side // tile) * tile


def _bits(values: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the bits of each sample; one number stands for all."""
    bits, samples = values.get(_BITS, (1,)), values.get(_SAMPLES, (1,))[0]
    if len(bits) == 1:
        return bits * samples
    if len(bits) < samples:
        raise _unreadable()
    return bits[:samples]


def _extra(values: dict[int, tuple[int, ...]], samples: int) -> tuple[bool, ...] | None:
    kinds = values.get(_EXTRA_SAMPLES, ())
    if not 0 < len(kinds) < samples:
        return None
    return tuple(kind in _OPACITY for kind in kinds)


def _palette(values: dict[int, tuple[int, ...]]) -> NDArray[np.uint16]:
    entries, bits = values[_PALETTE], values.get(_BITS, (1,))[0]
    if not 1 <= bits <= 16 or len(entries) != 3 << bits:
        raise _unreadable()
    palette: NDArray[np.uint16] = np.asarray(entries, np.uint16).reshape(3, -1).T
    if not (palette & 0xFF).any():
        # Many writers shift 8-bit colours up in place of scaling them.
        palette = (palette // 256 * 257).astype(np.uint16)
    return palette


def _unreadable() -> UnreadableImage:
    return UnreadableImage("image-unreadable", "The image cannot be decoded.")
