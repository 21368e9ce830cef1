"""Changes to DICOM files element by element, so that most of them still parse."""

import struct
import zlib
from dataclasses import dataclass, replace
from random import Random

from service.imaging.transfer_syntaxes import DEFLATED, ENCAPSULATED, NATIVE
from tests.dicom_files import meta_length
from tests.fuzz.codestreams import change_codestream
from tests.fuzz.havoc import havoc, number

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_VRS = (*_LONG, b"CS", b"DS", b"IS", b"LO", b"PN", b"SS", b"UI", b"UL", b"US", b"FD", b"AT", b"??")
_UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_SYNTAXES = sorted(NATIVE | ENCAPSULATED)
_ITEM, _END_OF_ITEM, _END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TAGS = (
    # What the reader looks at, and where nesting and length are decided.
    *(0x00080016, 0x00080060, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011),
    *(0x00280030, 0x00280034, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120),
    *(0x00280121, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00283000),
    *(0x00283010, 0x00181114, 0x00181164, 0x00200020, 0x00200062, 0x00540220, 0x52009229),
    *(0x52009230, 0x7FE00001, 0x7FE00002, _ITEM, _END_OF_ITEM, _END),
)


@dataclass(frozen=True)
class Element:
    """A data element of explicit VR, little-endian; `length` is the one it states."""

    tag: int
    vr: bytes
    value: bytes
    length: int

    def encoded(self) -> bytes:
        """Return its bytes."""
        head = struct.pack("<HH2s", self.tag >> 16, self.tag & 0xFFFF, self.vr)
        if self.vr in _LONG:
            return head + struct.pack("<HL", 0, self.length) + self.value
        return head + struct.pack("<H", self.length & 0xFFFF) + self.value


def change_dicom(data: bytes, rng: Random) -> bytes:
    """Change an element, the codestream, the transfer syntax, or bytes anywhere."""
    if len(data) < 150 or data[128:132] != b"DICM" or rng.random() < 0.15:
        return havoc(data, rng)
    start = meta_length(data)
    head, rest = data[:start], data[start:]
    if rng.random() < 0.1:
        # The first byte chooses whether a frame is asked for; see `targets`.
        head = rng.randbytes(1) + head[1:]
    if rng.random() < 0.05:
        old = next((uid for uid in _SYNTAXES if uid.encode() + b"\0" in head), "")
        new = rng.choice([uid for uid in _SYNTAXES if len(uid) == len(old)] or [old])
        head = head.replace(old.encode() + b"\0", new.encode() + b"\0")
    if DEFLATED.encode() in head:
        return head + _change_deflated(rest, rng)
    return head + change_elements(rest, rng)


def _change_deflated(rest: bytes, rng: Random) -> bytes:
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(rest, 2**22)
    except zlib.error:
        return havoc(rest, rng)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(change_elements(inflated, rng)) + packer.flush()


def change_elements(data: bytes, rng: Random) -> bytes:
    """Change one element of a dataset, or nest, repeat, drop or add one."""
    elements, rest = parsed(data)
    if not elements:
        return havoc(data, rng)
    index = rng.randrange(len(elements))
    if rng.random() < 0.3:
        index = next((n for n, e in enumerate(elements) if e.tag == _PIXEL_DATA), index)
    elements[index : index + 1] = _changed(elements[index], rng)
    return b"".join(element.encoded() for element in elements) + rest


def _changed(element: Element, rng: Random) -> list[Element]:
    match rng.randrange(9):
        case 0 | 1 | 2:
            return [_with_value(element, _other_value(element, rng))]
        case 3:
            return [replace(element, length=int.from_bytes(number(rng, 4, "little"), "little"))]
        case 4:
            return [replace(element, vr=rng.choice(_VRS))]
        case 5:
            return [replace(element, tag=rng.choice(_TAGS))]
        case 6:
            return [element] * rng.choice((0, 2, 300))
        case 7:
            return [nested(element, rng.choice((1, 2, 40, 3000)), rng)]
        case _:
            return [element, Element(rng.choice(_TAGS), rng.choice(_VRS), b"", 0)]


def _with_value(element: Element, value: bytes) -> Element:
    stated = element.length if element.length == _UNDEFINED else len(value)
    return replace(element, value=value, length=stated)


def _other_value(element: Element, rng: Random) -> bytes:
    value = element.value
    if element.tag == _PIXEL_DATA and element.length == _UNDEFINED:
        return _other_fragments(value, rng)
    if element.vr in (b"US", b"SS", b"UL", b"FD"):
        return number(rng, rng.choice((0, 2, 2, 2, 4, 8)), "little")
    if element.vr in (b"DS", b"IS") and rng.random() < 0.7:
        return rng.choice(
            (b"0", b"-1", b"1e999", b"nan", b"1\\2\\3", b"99999999999", b"0.1\\0", b"")
        )
    if element.vr == b"SQ" and value:
        inner, rest = parsed(value[8:])
        if inner and value[:4] == b"\xfe\xff\x00\xe0":
            body = change_elements(value[8:], rng)
            return value[:4] + struct.pack("<L", len(body)) + body
        return havoc(value + rest, rng)
    return havoc(value, rng)


def _other_fragments(value: bytes, rng: Random) -> bytes:
    """Change one item of encapsulated pixel data: the offset table, a fragment, or its length."""
    items, at = [], 0
    while value[at : at + 4] == b"\xfe\xff\x00\xe0":
        (length,) = struct.unpack_from("<L", value, at + 4)
        items.append((length, value[at + 8 : at + 8 + length]))
        at += 8 + length
    if not items:
        return havoc(value, rng)
    index = rng.randrange(len(items))
    length, fragment = items[index]
    if rng.random() < 0.15:
        length = int.from_bytes(number(rng, 4, "little"), "little")
    else:
        fragment = change_codestream(fragment, rng) if index else havoc(fragment, rng)
        length = len(fragment)
    items[index : index + 1] = [(length, fragment)] * rng.choice((0, 1, 1, 1, 1, 1, 2, 100))
    return b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<L", n) + f for n, f in items) + value[at:]


def nested(element: Element, depth: int, rng: Random) -> Element:
    """Wrap an element in sequences of one item, of stated or undefined length."""
    inner = element.encoded()
    for _ in range(depth):
        if len(inner) > 2**20:
            break
        if rng.random() < 0.5:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
            made = Element(0x00081140, b"SQ", item, len(item))
        else:
            open_, close = struct.pack("<HHL", 0xFFFE, 0xE000, _UNDEFINED), b"\xfe\xff\x0d\xe0"
            item = open_ + inner + close + b"\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
            made = Element(0x00081140, b"SQ", item, _UNDEFINED)
        inner = made.encoded()
    return made


def parsed(data: bytes) -> tuple[list[Element], bytes]:
    """Take a dataset of explicit VR, little-endian, apart; what cannot be is given as it is."""
    elements, at = [], 0
    while at + 8 <= len(data):
        group, number_, vr = struct.unpack_from("<HH2s", data, at)
        long = vr in _LONG
        if not vr.isalpha() or (long and at + 12 > len(data)):
            break
        length = struct.unpack_from("<L" if long else "<H", data, at + (8 if long else 6))[0]
        start = at + (12 if long else 8)
        # Of what has no stated length, only the pixels are met here; they come last.
        stop = len(data) if length == _UNDEFINED else start + length
        elements.append(Element(group << 16 | number_, vr, data[start:stop], length))
        at = stop
    return elements, data[at:]
