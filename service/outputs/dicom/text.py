"""Text of a header that may be wrong in every way: read by its character set, kept or left out.

A value is carried over exactly or not at all: a shortened Patient ID is another patient's.
"""

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterable

from pydicom.charset import STAND_ALONE_ENCODINGS, convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from service.imaging import elements

UTF8 = "ISO_IR 192"
LATIN_1 = "ISO_IR 100"

LONGEST_VALUE = 2**12
"""Bytes. No valid text read here is longer, in whatever character set."""

_DELIMITERS = set(b"\\^=\n\r\t\f")
"""Where a code extension ends (PS3.5 6.1.2.5.3)."""
_MISSPELT = re.compile(r"ISO[ _-]IR[ _-]([0-9]+)")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")

_UNDECODED = "\N{REPLACEMENT CHARACTER}"

Check = Callable[[str], bool]


def declared_character_set(header: Dataset) -> tuple[str, ...]:
    """Give the defined terms of Specific Character Set (PS3.3 C.12.1.1.2); empty for none or one
    that no reader knows."""
    terms = [
        f"ISO_IR {match[1]}" if (match := _MISSPELT.fullmatch(term)) else term
        for term in elements.texts(header, "SpecificCharacterSet")
    ]
    if not any(terms) or any(term not in python_encoding for term in terms):
        return ()
    return (terms[0],) if terms[0] in STAND_ALONE_ENCODINGS else tuple(terms)


class HeaderText:
    """Reads the text of a header, and settles the character set that an object made of it has.

    The source's own set is kept. Where it declares none, or an unknown one, and yet has bytes
    beyond ASCII, they are read as UTF-8 if they are, else as Latin-1, and that is declared.

    Parameters
    ----------
    header
        The source's; elements as pydicom read them, or set by hand.
    """

    def __init__(self, header: Dataset) -> None:
        self._header = header
        self._terms = declared_character_set(header)
        self._kept: list[str] = []
        self._guess = UTF8

    def read(self, keyword: str, is_valid: Check) -> str | None:
        """Give the one value of an element, without padding.

        None when it is absent, empty, has several values, does not decode, or `is_valid` says no.
        """
        value = self._decoded(keyword)
        if not value or _UNDECODED in value or "\\" in value or not is_valid(value):
            return None
        self._kept.append(value)
        return value

    def is_present(self, keyword: str) -> bool:
        """Say whether an element has any value, valid or not."""
        return self._decoded(keyword) not in (None, "")

    def character_set(self) -> tuple[str, ...]:
        """Give the terms to write: those of the source if they hold every text read so far."""
        if all(text.isascii() for text in self._kept):
            return self._terms
        terms = self._terms or (self._guess,)
        return terms if _hold(terms, self._kept) else (UTF8,)

    def _decoded(self, keyword: str) -> str | None:
        """Give an element's text, None when absent; several values stay joined by a backslash."""
        tag = tag_for_keyword(keyword)
        if tag is None or tag not in self._header:
            return None
        try:
            element = self._header.get_item(tag)
        except Exception:
            # pydicom converts an element that broke off, and raises whatever it meets.
            return _UNDECODED
        value = element.value
        if isinstance(element, RawDataElement):
            return self._decode(value[:LONGEST_VALUE]).strip(" \0") if value else ""
        if isinstance(value, Sequence):
            # Pydicom would write all of it out, in hours and gigabytes.
            return _UNDECODED
        parts = value if isinstance(value, MultiValue) else [value]
        return "\\".join("" if part is None else str(part) for part in parts).strip(" \0")

    def _decode(self, raw: bytes) -> str:
        if self._terms:
            try:
                return decode_bytes(raw, convert_encodings(list(self._terms)), _DELIMITERS)
            except Exception:
                # pydicom's decoders raise and warn as they please.
                return _UNDECODED
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self._guess = LATIN_1
            return raw.decode("latin-1")


def _hold(terms: Iterable[str], texts: Iterable[str]) -> bool:
    encodings = [python_encoding[term] for term in terms]
    return bool(encodings) and all(
        any(_encodes(character, encoding) for encoding in encodings)
        for text in texts
        for character in text
    )


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def plain(longest: int) -> Check:
    """Check a text of up to `longest` characters, none of them a control (PS3.5 6.2: LO, SH)."""
    return lambda value: len(value) <= longest and _has_no_controls(value)


def _has_no_controls(value: str) -> bool:
    return not any(unicodedata.category(character).startswith("C") for character in value)


def is_person_name(value: str) -> bool:
    """Check a PN (PS3.5 6.2.1): up to three groups of 64 characters and five components."""
    groups = value.split("=")
    return (
        len(groups) <= 3
        and all(len(group) <= 64 and group.count("^") <= 4 for group in groups)
        and _has_no_controls(value)
    )


def is_date(value: str) -> bool:
    """Check a DA, YYYYMMDD (PS3.5 6.2), that is a day of the calendar."""
    if not re.fullmatch("[0-9]{8}", value):
        return False
    try:
        datetime.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def is_time(value: str) -> bool:
    """Check a TM, HHMMSS.FFFFFF with what is missing on the right (PS3.5 6.2)."""
    return _TIME.fullmatch(value) is not None


def one_of(*terms: str) -> Check:
    """Check a CS against its terms."""
    return lambda value: value in terms


def long_string(text: str) -> str:
    """Cut a text of our own to what an LO or UT label may hold: 64 characters."""
    return text[:64]
