"""Typed access to the elements of a dataset that may hold anything.

A value of the wrong type, range or multiplicity reads as absent; nothing here raises, because
whether an absent value matters is the caller's to say.
"""

import math
import re
import struct
from typing import BinaryIO, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence_item
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from service.imaging.memory_file import ReadLimitedFile

MAX_VALUE_BYTES = 2**16
"""Bytes. No element read here needs more, and converting a longer text costs time."""

MAX_SEQUENCE_BYTES = 2**19
"""Bytes of an encoded sequence; a full 16-bit look-up table takes 2**17. One that holds nothing but
item headers takes a second to take apart."""

UNDEFINED_LENGTH = 0xFFFFFFFF

UID_PATTERN = r"^[0-9]+(\.[0-9]+)+$"
"""A component must not begin with a zero (PS3.5 9.1), yet machines write such UIDs, and archives
file by them: they take a UID for a string. Left as it is, it names what its maker meant; without
the zero it would be another."""
_UID = re.compile(UID_PATTERN)


def _value(dataset: Dataset, keyword: str, longest: int = MAX_VALUE_BYTES) -> object:
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return None
    try:
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and len(element.value or b"") > longest:
            return None
        return dataset[tag].value
    except Exception:
        # pydicom converts on access, and raises whatever its converters meet.
        return None


def _values(dataset: Dataset, keyword: str) -> tuple[object, ...]:
    value = _value(dataset, keyword)
    # Pydicom writes a nested sequence out, in hours and gigabytes, where a text is wanted.
    if value is None or isinstance(value, Sequence) or value == "":
        return ()
    return tuple(value) if isinstance(value, MultiValue | list) else (value,)


def text(dataset: Dataset, keyword: str) -> str | None:
    """Return the first value of a text element, without padding; None when empty or absent."""
    values = _values(dataset, keyword)
    if not values or not isinstance(values[0], str):
        return None
    return str(values[0]).strip(" \0") or None


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all values of a text element, without padding."""
    return tuple(str(value).strip(" \0") for value in _values(dataset, keyword))


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Return the only value of an integer element (US, SS, UL, IS); None for anything else."""
    values = _values(dataset, keyword)
    if len(values) != 1 or not isinstance(values[0], int):
        return None
    return int(values[0])


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the values of a numeric element (DS, FD, US, ...) as finite floats.

    Empty when the element is absent, empty, or holds one value that is not a finite number.
    """
    found = []
    for value in _values(dataset, keyword):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return ()
        if not math.isfinite(number):
            return ()
        found.append(number)
    return tuple(found)


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the only value of a numeric element; None for anything else."""
    values = numbers(dataset, keyword)
    return values[0] if len(values) == 1 else None


def raw_integers(dataset: Dataset, keyword: str) -> tuple[int, ...]:
    """Return the values of an element of ambiguous VR (US or SS), whatever pydicom made of them."""
    value = _value(dataset, keyword, MAX_SEQUENCE_BYTES)
    if isinstance(value, bytes):
        order = ">" if dataset.original_encoding[1] is False else "<"
        return struct.unpack(f"{order}{len(value) // 2}H", value[: len(value) // 2 * 2])
    values = tuple(value) if isinstance(value, MultiValue | list) else (value,)
    return tuple(int(item) for item in values if isinstance(item, int))


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; empty when it is absent, broken or absurdly long."""
    return _items_of(_value(dataset, keyword, MAX_SEQUENCE_BYTES))


def _items_of(value: object) -> tuple[Dataset, ...]:
    return tuple(value) if isinstance(value, Sequence) else ()


def item(dataset: Dataset, keyword: str, index: int) -> Dataset | None:
    """Return one item of a sequence of any length, counted from 0; None when there is no such item.

    The others are stepped over, not taken apart, where they state their length.
    """
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return None
    try:
        element = dataset.get_item(tag)
        if not isinstance(element, RawDataElement):
            return _items_of(element.value)[index]
        return _item_at(element, index)
    except Exception:
        return None


def _item_at(element: RawDataElement, index: int) -> Dataset | None:
    reader = ReadLimitedFile(element.value or b"")
    order = "<" if element.is_little_endian else ">"
    for _ in range(index):
        start = reader.tell()
        group, number, length = struct.unpack(f"{order}HHL", reader.read(8))
        if (group, number) != (0xFFFE, 0xE000):
            return None
        if length == UNDEFINED_LENGTH:
            reader.seek(start)
            _read_item(reader, element)
        else:
            reader.seek(length, 1)
    return _read_item(reader, element)


def _read_item(reader: ReadLimitedFile, element: RawDataElement) -> Dataset | None:
    return read_sequence_item(
        cast(BinaryIO, reader), element.is_implicit_VR, element.is_little_endian, "ascii"
    )


def octets(dataset: Dataset, keyword: str) -> bytes:
    """Return the value of a binary element (OB, OW, OV, UN); empty when it is absent."""
    value = _value(dataset, keyword)
    return value if isinstance(value, bytes) else b""


def uid(dataset: Dataset, keyword: str) -> str | None:
    """Return the only value of a UID element; None for anything that cannot name an object."""
    values = texts(dataset, keyword)
    return values[0] if len(values) == 1 and is_uid(values[0]) else None


def is_uid(value: str) -> bool:
    """Say whether a text can be a UID: the rules of PS3.5 9.1, but for leading zeros."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None
