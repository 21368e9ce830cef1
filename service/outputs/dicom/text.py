"""Text of a header that may be wrong in every way: its bytes are carried over, or it is left out.

A value is carried over exactly or not at all: a shortened Patient ID is another patient's, and so
is one that was decoded by a guess and encoded anew. So a text keeps the bytes and the character set
that the source has, right or wrong: whatever a reader makes of them, it makes of both alike.
"""

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterable

from pydicom.charset import (
    STAND_ALONE_ENCODINGS,
    convert_encodings,
    decode_bytes,
    encode_string,
    python_encoding,
)
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from service.imaging import elements

UTF8 = "ISO_IR 192"

MAX_VALUE_BYTES = 2**12
"""Bytes. No valid text read here is longer, in whatever character set."""

MAX_TERMS = 8
"""Of Specific Character Set; nobody needs more than three or four."""

_DELIMITERS = set(b"\\^=\n\r\t\f")
"""Where a code extension ends (PS3.5 6.1.2.5.3)."""
_MISSPELT = re.compile(r"ISO[ _-]IR[ _-]([0-9]+)")
_TERM = re.compile(r"[ -\[\]-~]{0,16}")
"""What a CS may be at the very least (PS3.5 6.2), capitals or not."""
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_ESCAPE = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]")
"""An escape sequence that names a character set (ISO/IEC 2022; PS3.5 6.1.2.5)."""
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_PLAIN_TEXT = bytes(range(0x20, 0x7F)).decode("ascii")

_UNDECODED = "\N{REPLACEMENT CHARACTER}"

Check = Callable[[str], bool]


def _terms_as_they_stand(header: Dataset) -> tuple[str, ...]:
    return elements.texts(header, "SpecificCharacterSet")


def _known(terms: tuple[str, ...]) -> tuple[str, ...]:
    mended = [
        f"ISO_IR {match[1]}" if (match := _MISSPELT.fullmatch(term)) else term for term in terms
    ]
    if not any(mended) or any(term not in python_encoding for term in mended):
        return ()
    return (mended[0],) if mended[0] in STAND_ALONE_ENCODINGS else tuple(mended)


def declared_character_set(header: Dataset) -> tuple[str, ...]:
    """Return the defined terms of Specific Character Set (PS3.3 C.12.1.1.2).

    Empty for none or one that no reader knows; a slip of the pen such as ISO-IR 100 is mended.
    """
    return _known(_terms_as_they_stand(header))


class HeaderText:
    """Reads the text of a header, and settles how an object made of it writes that text.

    Text that came as bytes beyond ASCII is written by the same bytes, under the terms that the
    source states, if any. Text that was set by hand is written in the source's set where that
    holds it, by a round trip, and in UTF-8 otherwise.

    Parameters
    ----------
    header
        The source's; elements as pydicom read them, or set by hand.
    """

    def __init__(self, header: Dataset) -> None:
        self._header = header
        self._stated = _terms_as_they_stand(header)
        self._terms = _known(self._stated)
        self._kept: list[str] = []
        self._bytes: dict[str, bytes] = {}

    def read(self, keyword: str, is_valid: Check) -> str | None:
        """Return the one value of an element, without padding.

        None when it is absent, empty, has several values or control characters, cannot be written
        as it is, or `is_valid` says no. A text that its character set does not explain is judged,
        and returned, as if each byte were a character; its bytes are kept all the same.
        """
        raw = self._raw(keyword)
        value = self._decoded(keyword) if raw is None else self._readable(raw)
        if value and not is_valid(value):
            # Blanks in front mean nothing (PS3.5 6.2), but an ID keeps them where they fit.
            value = value.lstrip(" ")
        if not value or value == _UNDECODED or "\\" in value or not is_valid(value):
            return None
        if raw is not None and not _is_ascii(raw):
            if not self._may_stand():
                return None
            self._bytes[keyword] = raw
        self._kept.append(value)
        return value

    def is_present(self, keyword: str) -> bool:
        """Say whether an element has any value, valid or not."""
        return self._decoded(keyword) not in (None, "")

    def bytes_to_keep(self) -> dict[str, bytes]:
        """Return, by keyword, the bytes of texts read so far that must be written as they came."""
        return dict(self._bytes)

    def character_set(self) -> tuple[str, ...]:
        """Return the terms to write with the texts read so far.

        Those of the source as they stand where bytes of it are kept; else the known ones of them
        if they hold every text, else UTF-8.
        """
        if self._bytes:
            return self._stated if any(self._stated) else ()
        if all(text.isascii() for text in self._kept):
            return self._terms
        return self._terms if _hold(self._terms, self._kept) else (UTF8,)

    def _raw(self, keyword: str) -> bytes | None:
        """Return the bytes of an element that came as bytes, without padding behind; else None."""
        tag = tag_for_keyword(keyword)
        if tag is None or tag not in self._header:
            return None
        try:
            element = self._header.get_item(tag)
        except Exception:
            return None
        if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
            return None
        return element.value[: MAX_VALUE_BYTES + 1].rstrip(b" \0")

    def _readable(self, raw: bytes) -> str:
        """Return what bytes say; where their character set does not explain them, as Latin-1."""
        if len(raw) > MAX_VALUE_BYTES or _CONTROLS.search(_ESCAPE.sub(b"", raw)):
            return _UNDECODED
        text = self._decode(raw)
        return raw.decode("latin-1") if _UNDECODED in text else text

    def _may_stand(self) -> bool:
        """Say whether the source's terms can be written as they are, beside our own ASCII."""
        stated = self._stated
        if len(stated) > MAX_TERMS or not all(map(_TERM.fullmatch, stated)):
            return False
        try:
            encodings = convert_encodings(list(stated))
            return encode_string(_PLAIN_TEXT, encodings) == _PLAIN_TEXT.encode("ascii")
        except Exception:
            # A term may name a codec of Python's that is none for text.
            return False

    def _decoded(self, keyword: str) -> str | None:
        """Return an element's text, None when absent; several values stay joined by a backslash."""
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
            return self._decode(value[:MAX_VALUE_BYTES]).strip(" \0") if value else ""
        if isinstance(value, Sequence):
            # Pydicom would write all of it out, in hours and gigabytes.
            return _UNDECODED
        parts = value if isinstance(value, MultiValue) else [value]
        text = "\\".join("" if part is None else str(part) for part in parts).strip(" \0")
        return _UNDECODED if _UNDECODED in text or _has_controls(text) else text

    def _decode(self, raw: bytes) -> str:
        if not self._terms:
            return raw.decode("latin-1")
        try:
            return decode_bytes(raw, convert_encodings(list(self._terms)), _DELIMITERS)
        except Exception:
            # pydicom's decoders raise and warn as they please.
            return _UNDECODED


def _is_ascii(raw: bytes) -> bool:
    """Say whether bytes are the same text in every character set based on ASCII."""
    return raw.isascii() and b"\x1b" not in raw


def _hold(terms: tuple[str, ...], texts: Iterable[str]) -> bool:
    """Say whether a character set holds texts, by a round trip of each."""
    encodings = convert_encodings(list(terms))
    try:
        return bool(terms) and all(
            decode_bytes(encode_string(text, encodings), encodings, _DELIMITERS) == text
            for text in texts
        )
    except Exception:
        return False


def plain(longest: int) -> Check:
    """Check a text of up to `longest` characters (PS3.5 6.2: LO, SH)."""
    return lambda value: len(value) <= longest


def _has_controls(value: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in value)


def is_person_name(value: str) -> bool:
    """Check a PN (PS3.5 6.2.1): up to three groups of 64 characters and five components."""
    groups = value.split("=")
    return len(groups) <= 3 and all(len(group) <= 64 and group.count("^") <= 4 for group in groups)


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
