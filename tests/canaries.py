"""A mammogram whose every element holds a marker, to see whether one ever comes out again."""

import struct
from collections.abc import Iterator
from functools import cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.tag import Tag

from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom_files import (
    MAMMOGRAPHY_FOR_PRESENTATION,
    SOP_INSTANCE_UID,
    Stored,
    phantom,
    to_codes,
)

WORD = "ZANARIE"
"""In every text, whether its representation allows for letters or not."""

VALID = {
    # By value representation: what a reader converts without complaint.
    "AS": "093Y",
    "DA": "18570402",
    "DS": "3141.59265",
    "DT": "18570402235757.314159",
    "IS": "27182818",
    "TM": "235757.314159",
    "UI": "1.2.840.113619.777.31415926",
}
MARKS = (WORD, *(value for vr, value in VALID.items() if vr != "AS"))

_TEXT = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM")
_LONG_TEXT = ("UC", "UR", "UT")
_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UN", "UV", *_LONG_TEXT))

_NEEDED: dict[int, tuple[str, bytes]] = {
    # Without these there is no image, and nothing after them would be read.
    0x00080016: ("UI", MAMMOGRAPHY_FOR_PRESENTATION.encode()),
    0x00080018: ("UI", SOP_INSTANCE_UID.encode()),
    0x00080060: ("CS", b"MG"),
    0x00280002: ("US", struct.pack("<H", 1)),
    0x00280004: ("CS", b"MONOCHROME2"),
    0x00280008: ("IS", b"1"),
    0x00280100: ("US", struct.pack("<H", 16)),
    0x00280101: ("US", struct.pack("<H", 12)),
    0x00280102: ("US", struct.pack("<H", 11)),
    0x00280103: ("US", struct.pack("<H", 0)),
}


@cache
def canary_file(*, valid: bool, syntax: str = EXPLICIT_LITTLE, **changes: bytes) -> bytes:
    """Write a mammogram with a marker in every element of pydicom's dictionary, and private ones.

    Parameters
    ----------
    valid
        Numbers, dates and UIDs hold `VALID`; else the word that no such element may hold.
    changes
        By tag in hexadecimal, as `t00080060`: other bytes for a needed element.
    """
    stored = phantom(12)
    made = dict(_elements(valid)) | dict(_needed(stored))
    for name, value in changes.items():
        tag = int(name[1:], 16)
        made[tag] = (made[tag][0], value)
    dataset = b"".join(_encoded(tag, *made[tag]) for tag in sorted(made))
    pixels = to_codes(stored, 16, 12).tobytes()
    return _meta(syntax) + dataset + _encoded(0x7FE00010, "OW", pixels)


def _needed(stored: Stored) -> Iterator[tuple[int, tuple[str, bytes]]]:
    yield from _NEEDED.items()
    for tag, size in ((0x00280010, stored.shape[0]), (0x00280011, stored.shape[1])):
        yield tag, ("US", struct.pack("<H", size))


def _elements(valid: bool) -> Iterator[tuple[int, tuple[str, bytes]]]:
    known = {tag: entry[0] for tag, entry in DicomDictionary.items()}
    # Curves and overlays stand for sixteen groups each.
    known |= {
        int(mask.replace("x", "0"), 16): entry[0] for mask, entry in RepeatersDictionary.items()
    }
    for tag, vr in known.items():
        if 0x0008 <= Tag(tag).group < 0x7FE0 and Tag(tag).element != 0:
            yield tag, (vr.split(" or ")[0], _value(vr.split(" or ")[0], valid, depth=0))
    for group in (0x0009, 0x0019, 0x0021, 0x0029, 0x0045, 0x3001):
        yield group << 16 | 0x10, ("LO", f"{WORD} 1.0".encode())
        for number, vr in enumerate((*_TEXT, *_LONG_TEXT, "UI", "UN", "OB", "SQ")):
            yield group << 16 | 0x1000 | number, (vr, _value(vr, valid, depth=0))


@cache
def _value(vr: str, valid: bool, depth: int) -> bytes:
    if vr == "SQ":
        return b"" if depth == 2 else _item(valid, depth + 1)
    if valid and vr in VALID:
        return VALID[vr].encode()
    if vr == "PN":
        return f"{WORD}^{WORD}^^Dr={WORD}={WORD}".encode()
    if vr in (*_TEXT, *_LONG_TEXT, "UI", "NONE"):
        return WORD.encode()
    return f"{WORD}!{WORD}!".encode()


def _item(valid: bool, depth: int) -> bytes:
    inside = {
        0x00080100: "SH",
        0x00080104: "LO",
        0x00081155: "UI",
        0x00081140: "SQ",
        0x00090010: "LO",
        0x00091001: "UN",
        0x00100010: "PN",
        0x00100030: "DA",
        0x00281050: "DS",
        0x00281051: "DS",
        0x00283002: "US",
        0x00283006: "US",
        0x0040A730: "SQ",
    }
    encoded = b"".join(
        _encoded(tag, vr, _value(vr, valid, depth)) for tag, vr in sorted(inside.items())
    )
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(encoded)) + encoded


def _encoded(tag: int, vr: str, value: bytes) -> bytes:
    vr = "UN" if vr == "NONE" else vr
    value += (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def _meta(syntax: str) -> bytes:
    elements = (
        _encoded(0x00020002, "UI", MAMMOGRAPHY_FOR_PRESENTATION.encode())
        + _encoded(0x00020003, "UI", VALID["UI"].encode())
        + _encoded(0x00020010, "UI", syntax.encode())
        + _encoded(0x00020012, "UI", VALID["UI"].encode())
        + _encoded(0x00020013, "SH", WORD.encode())
        + _encoded(0x00020016, "AE", WORD.encode())
        + _encoded(0x00020100, "UI", VALID["UI"].encode())
        + _encoded(0x00020102, "OB", WORD.encode())
    )
    length = _encoded(0x00020000, "UL", struct.pack("<L", len(elements)))
    preamble = WORD.encode().ljust(128, b"\0")
    return preamble + b"DICM" + length + elements
