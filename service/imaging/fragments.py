"""The compressed frames inside encapsulated pixel data (PS3.5 A.4).

How many frames there are is what Number of Frames says (PS3.3 C.7.6.6). Offset tables help to find
them and nothing else: writers list every fragment, or the end of the data too, or zeros, or forget
the table. So a table is followed only where it must be, and where it makes sense.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from struct import pack, unpack_from

from service.imaging.codecs.codestream import corrupt, pixel_data_truncated
from service.imaging.codecs.registry import CODECS
from service.imaging.frames import several_frames

_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0"
_ITEM_HEADER_BYTES = 8

MAX_FRAGMENTS = 65_536

Fragments = list[memoryview]


def frame_fragments(
    pixel_data: memoryview, frame: int, frames: int, extended: Sequence[int] = ()
) -> Fragments:
    """Return the fragments of one frame, which make a codestream when joined.

    Parameters
    ----------
    pixel_data
        The value of Pixel Data, from its Basic Offset Table on. What follows the sequence
        delimiter is ignored.
    frame, frames
        Which, from 1 on, of how many.
    extended
        Extended Offset Table (PS3.3 C.7.6.3.1.8), empty without one.

    Raises
    ------
    UnreadableImage
        Items that break off or are none, or no such frame among them.
    UnsuitableImage
        Of one frame there are several codestreams.
    """
    items = list(_items(pixel_data))
    basic: Sequence[int] = ()
    if items and not is_codestream(items[0]):
        table = items.pop(0)
        basic = unpack_from(f"<{len(table) // 4}L", table)
    filled = [item for item in items if len(item)]
    if not filled:
        raise corrupt()
    if frames == 1:
        if any(is_codestream(item) for item in filled[1:]):
            raise several_frames()
        return filled
    if len(filled) == frames:
        # Each has one at least.
        return [filled[frame - 1]]
    starts = _starts(items, frames, extended, basic)
    if frame > len(starts):
        raise corrupt()
    return items[starts[frame - 1] : [*starts, len(items)][frame]]


def fragments_of(pixel_data: memoryview) -> Fragments:
    """Return all fragments, without an offset table.

    Raises
    ------
    UnreadableImage
        Items that break off or are none.
    """
    items = list(_items(pixel_data))
    return items if not items or is_codestream(items[0]) else items[1:]


def is_alone(pixel_data: memoryview, fragments: Fragments) -> bool:
    """Say whether the value holds one fragment, and a table that nobody can misread: none, or 0."""
    if len(fragments) > 1:
        return False
    item = _ITEM + pack("<L", len(fragments[0]))
    tables = (_ITEM + pack("<L", 0), _ITEM + pack("<LL", 4, 0))
    return bytes(pixel_data[:20]).startswith(tuple(table + item for table in tables))


def is_codestream(fragment: memoryview) -> bool:
    """Say whether a codestream of any codec starts here."""
    return any(codec.starts(fragment) for codec in CODECS)


def encapsulated(codestream: bytes | memoryview) -> bytes:
    """Return a codestream as the one fragment of one frame."""
    header = _ITEM + pack("<L", 0) + _ITEM + pack("<L", len(codestream))
    return b"".join((header, codestream, _SEQUENCE_DELIMITER, b"\0\0\0\0"))


def _starts(items: Fragments, frames: int, *tables: Sequence[int]) -> list[int]:
    """Return the index of each frame's first fragment, from an offset table or from the data.

    The table is used where it makes sense; else a frame begins wherever a codestream does, and
    there may be fewer or more of those than frames.
    """
    offsets = [0]
    for item in items:
        offsets.append(offsets[-1] + _ITEM_HEADER_BYTES + len(item))
    index = {offset: number for number, offset in enumerate(offsets[:-1])}
    for table in tables:
        # One that goes on to the end of the data lists that.
        listed = table[:-1] if len(table) == frames + 1 and table[-1] == offsets[-1] else table
        ascends = all(first < second for first, second in pairwise(listed))
        if len(listed) == frames and listed[0] == 0 and ascends and set(listed) <= set(index):
            return [index[offset] for offset in listed]
    return [number for number, item in enumerate(items) if is_codestream(item)]


def _items(pixel_data: memoryview) -> Iterator[memoryview]:
    offset, count = 0, 0
    while offset + 8 <= len(pixel_data):
        tag = bytes(pixel_data[offset : offset + 4])
        if tag == _SEQUENCE_DELIMITER:
            return
        (length,) = unpack_from("<L", pixel_data, offset + 4)
        offset += 8
        count += 1
        if tag != _ITEM or count > MAX_FRAGMENTS:
            raise corrupt()
        if offset + length > len(pixel_data):
            raise pixel_data_truncated()
        yield pixel_data[offset : offset + length]
        offset += length
