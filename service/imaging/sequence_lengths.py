"""Sequences whose length counts too little or too much: where they end after all (PS3.5 7.5).

The value of a sequence that counts too little is cut off, and what is left of it is read as
elements; one that counts too much swallows the next. Either way a reader loses its place, for the
sake of an icon, say. But each element inside has a length of its own. As dcmtk does, these are
followed, and a sequence ends where they lead, if the dataset goes on there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import error, pack_into, unpack_from
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

ICON_IMAGE_SEQUENCE = 0x00880200
PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_DELIMITER, _SEQUENCE_DELIMITER = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF

MAX_HEADERS = 20_000
"""Of elements and items that are looked at; a mammogram has a few hundred."""

_LONG = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_KNOWN = frozenset(vr.encode() for vr in STANDARD_VR)


class _Header(NamedTuple):
    """An element's or item's; `vr` is empty where the encoding has none."""

    tag: int
    vr: bytes
    length: int
    length_at: int
    value_at: int

    @property
    def end(self) -> int:
        return self.value_at + self.length


class _LostError(Exception):
    """It cannot be told where the dataset goes on."""


def with_right_lengths(
    body: bytes | memoryview, start: int, *, little_endian: bool
) -> bytes | memoryview:
    """Return a file with the lengths of its sequences mended; itself where none is wrong.

    Parameters
    ----------
    body
        The file.
    start
        Where its dataset begins; what comes before and after the pixel data is left alone.
    little_endian
        Byte order of the dataset; by its first element it is seen whether that has a VR.
    """
    implicit = bytes(body[start + 4 : start + 6]) not in _KNOWN
    walk = _Walk(memoryview(body), "<" if little_endian else ">", implicit)
    found = list(walk.wrong_lengths(start))
    if not found:
        return body
    mended = bytearray(body)
    for at, length in found:
        pack_into(f"{walk.order}L", mended, at, length)
    return memoryview(mended).toreadonly()


@dataclass(slots=True)
class _Walk:
    view: memoryview
    order: str
    implicit: bool
    headers: int = 0

    def wrong_lengths(self, at: int) -> Iterator[tuple[int, int]]:
        """Yield where a wrong length stands, and what it should be, up to the pixel data."""
        try:
            while at < len(self.view):
                header = self._header(at)
                if header.tag == PIXEL_DATA or header.tag >> 16 == 0xFFFE:
                    return
                at = header.end
                if self._is_sequence(header):
                    at, wrong = self._sequence(header)
                    yield from wrong
                elif header.length == _UNDEFINED:
                    return
        except (_LostError, error, RecursionError):
            return

    def _sequence(self, header: _Header) -> tuple[int, list[tuple[int, int]]]:
        """Find the end of a sequence, and the lengths in it that must be corrected."""
        wrong: list[tuple[int, int]] = []
        end = self._end_of_items(header, wrong)
        if header.length == _UNDEFINED:
            return end, wrong
        if end == header.end or not self._goes_on(end, header.tag):
            return header.end, []
        is_icon = header.tag == ICON_IMAGE_SEQUENCE and end > header.end
        if self._goes_on(header.end, header.tag) and not is_icon:
            return header.end, []
        return end, [*wrong, (header.length_at, end - header.value_at)]

    def _end_of_items(self, sequence: _Header, wrong: list[tuple[int, int]]) -> int:
        at = sequence.value_at
        while sequence.length == _UNDEFINED or at < sequence.end:
            item = self._header(at)
            if item.tag == _SEQUENCE_DELIMITER:
                return item.value_at
            if item.tag != _ITEM:
                break
            at = self._end_of_item(item, sequence)
            if item.length != _UNDEFINED and at != item.end:
                wrong.append((item.length_at, at - item.value_at))
        return at

    def _end_of_item(self, item: _Header, sequence: _Header) -> int:
        at, last = item.value_at, -1
        while item.length == _UNDEFINED or at < item.end:
            element = self._header(at)
            if element.tag == _ITEM_DELIMITER:
                return element.value_at
            if element.tag <= last or element.tag >> 16 == 0xFFFE:
                return at
            end = self._end(element)
            if end > item.end and self._is_next(element, at, item, sequence):
                return at
            at, last = end, element.tag
        # What cannot be the next element of the dataset, in ascending order, is the item's own.
        while at < len(self.view):
            element = self._header(at)
            is_next = element.tag > sequence.tag and not self._is_of_icon(element, last, sequence)
            if element.tag <= last or is_next or not self._is_element(element):
                break
            at, last = self._end(element), element.tag
        return at

    def _is_next(self, element: _Header, at: int, item: _Header, sequence: _Header) -> bool:
        """Tell the dataset's element, swallowed by an item, from the item's own, cut off.

        Where it may be either, it is the dataset's if the item's stated end is nearer to its start
        than to its end.
        """
        if element.tag < sequence.tag:
            return False
        end = self._end(element)
        if not self._goes_on(end, 0) and self._is_sequence(element):
            end, _ = self._sequence(element)
        return self._goes_on(end, element.tag) and item.end - at < end - item.end

    def _is_of_icon(self, element: _Header, last: int, sequence: _Header) -> bool:
        """Tell an icon's pixel data from those of the image, which nothing but padding follows."""
        return (
            sequence.tag == ICON_IMAGE_SEQUENCE
            and last < PIXEL_DATA == element.tag
            and element.length != _UNDEFINED
            and element.end < len(self.view)
            and self._header(element.end).tag <= PIXEL_DATA
            and self._goes_on(element.end, sequence.tag)
        )

    def _end(self, element: _Header) -> int:
        """Find the end of an element of an item, whatever it is."""
        if element.length != _UNDEFINED:
            return element.end
        at = element.value_at
        while True:
            item = self._header(at)
            if item.tag == _SEQUENCE_DELIMITER:
                return item.value_at
            if item.tag != _ITEM:
                raise _LostError
            at = item.end if item.length != _UNDEFINED else self._end_of_item(item, element)

    def _goes_on(self, at: int, tag: int) -> bool:
        """Say whether an element that may come after `tag` is here, or the end."""
        if at == len(self.view):
            return True
        header = self._header(at)
        return header.tag > tag and self._is_element(header)

    def _is_element(self, header: _Header) -> bool:
        fits = header.length == _UNDEFINED or header.end <= len(self.view)
        if not fits or header.tag >> 16 == 0xFFFE:
            return False
        if not self.implicit:
            return header.vr != b""
        is_private = header.tag >> 16 & 1
        return bool(is_private or dictionary_has_tag(header.tag))

    def _is_sequence(self, header: _Header) -> bool:
        if header.vr not in (b"", b"UN"):
            return header.vr == b"SQ"
        if dictionary_has_tag(header.tag):
            return dictionary_VR(header.tag) == "SQ"
        return header.length >= 8 and self._header(header.value_at).tag == _ITEM

    def _header(self, at: int) -> _Header:
        self.headers += 1
        if self.headers > MAX_HEADERS or at + 8 > len(self.view):
            raise _LostError
        group, number = unpack_from(f"{self.order}HH", self.view, at)
        vr = bytes(self.view[at + 4 : at + 6])
        tag = group << 16 | number
        if self.implicit or group == 0xFFFE or vr not in _KNOWN:
            (length,) = unpack_from(f"{self.order}L", self.view, at + 4)
            return _Header(tag, b"", length, at + 4, at + 8)
        if vr in _LONG:
            (length,) = unpack_from(f"{self.order}L", self.view, at + 8)
            return _Header(tag, vr, length, at + 8, at + 12)
        (length,) = unpack_from(f"{self.order}H", self.view, at + 6)
        return _Header(tag, vr, length, at + 6, at + 8)
