"""The compressed frames inside encapsulated pixel data (PS3.5 A.4)."""

from collections.abc import Iterator
from struct import unpack_from

from pydicom.encaps import get_frame

from service.imaging import containment as containment
from service.imaging.bounded import ViewReader
from service.imaging.codestream import corrupt, pixel_data_truncated
from service.imaging.frames import several_frames

_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0"

MOST_FRAGMENTS = 65_536


def single_frame(pixel_data: memoryview) -> bytes | memoryview:
    """Give the one frame: its fragments, joined; a view of the body when there is only one.

    Parameters
    ----------
    pixel_data
        The value of Pixel Data, from its Basic Offset Table on. What follows the sequence
        delimiter is ignored.

    Raises
    ------
    UnreadableImage
        Items that break off or are none.
    UnsuitableImage
        The Basic Offset Table lists several frames.
    """
    fragments = _items(pixel_data)
    offsets = next(fragments, None)
    if offsets is None:
        raise corrupt()
    if len(offsets) > 4:
        raise several_frames()
    found = list(fragments)
    if not found:
        raise corrupt()
    return found[0] if len(found) == 1 else b"".join(found)


OffsetTable = tuple[bytes, bytes]
"""Extended Offset Table and its lengths (PS3.3 C.7.6.3.1.8), as they are encoded."""


def one_of_several(
    pixel_data: memoryview, stream: ViewReader, frame: int, frames: int, table: OffsetTable | None
) -> bytes:
    """Give one of several frames: by an offset table, else one fragment each, else by its end.

    Parameters
    ----------
    pixel_data
        The value of Pixel Data, to be counted before it is searched.
    stream
        The same, for pydicom to search; left where it was.
    frame, frames
        Which, from 1 on, of how many.
    table
        Extended offset table, None without one.

    Raises
    ------
    UnreadableImage
        Items that break off or are none, or no such frame among them.
    """
    for _ in _items(pixel_data):
        pass
    start = stream.tell()
    try:
        found: bytes = get_frame(stream, frame - 1, number_of_frames=frames, extended_offsets=table)
    except Exception:
        raise corrupt() from None
    stream.seek(start)
    return found


def _items(pixel_data: memoryview) -> Iterator[memoryview]:
    offset, count = 0, 0
    while offset + 8 <= len(pixel_data):
        tag = bytes(pixel_data[offset : offset + 4])
        if tag == _SEQUENCE_DELIMITER:
            return
        (length,) = unpack_from("<L", pixel_data, offset + 4)
        offset += 8
        count += 1
        if tag != _ITEM or count > MOST_FRAGMENTS:
            raise corrupt()
        if offset + length > len(pixel_data):
            raise pixel_data_truncated()
        yield pixel_data[offset : offset + length]
        offset += length
