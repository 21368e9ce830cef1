"""Which mammography unit made an image, out of a bounded list: a label of metrics.

Manufacturer (0008,0070) and Manufacturer's Model Name (0008,1090; PS3.3 C.7.5.1) are texts of
whoever sends the image: a stranger may send thousands of them, or a patient's name. So no text of
an image becomes a label. An image is counted under a unit of this list, or of the operator's, and
else as `other`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.imaging.source_header import SourceHeader, tag_of

OTHER = "other"
"""A manufacturer or a model that is not on the list."""

UNSTATED = "unstated"
"""The image does not say, as a PNG cannot."""

Unit = tuple[str, str]
"""Manufacturer and model, as metrics call them."""

MANUFACTURERS: dict[str, tuple[str, ...]] = {
    "agfa": ("agfa",),
    "carestream": ("carestream", "kodak"),
    "fujifilm": ("fuji",),
    "ge": ("ge", "gems", "general electric"),
    "giotto": ("ims", "i.m.s", "giotto", "internazionale medico scientifica"),
    "hologic": ("hologic", "lorad"),
    "konica-minolta": ("konica", "minolta"),
    "metaltronica": ("metaltronica",),
    "philips": ("philips",),
    "planmed": ("planmed",),
    "sectra": ("sectra",),
    "siemens": ("siemens",),
}
"""How each begins where it stands in images, in lower case."""

MODELS: dict[str, tuple[str, ...]] = {
    "carestream": ("directview",),
    "fujifilm": ("amulet",),
    "ge": ("pristina", "essential", "senograph ds", "senographe ds", "2000d", "crystal"),
    "giotto": ("class", "tomo", "image"),
    "hologic": ("3dimensions", "dimensions", "selenia"),
    "philips": ("microdose",),
    "planmed": ("clarity", "nuance"),
    "sectra": ("microdose",),
    "siemens": ("brilliant", "revelation", "inspiration", "fusion", "novation"),
}
"""Words of model names, by manufacturer, in lower case; the first that occurs counts."""

MAX_OPERATOR_UNITS = 100

_TAGS = (tag_of("Manufacturer"), tag_of("ManufacturerModelName"))
_BITS_STORED = tag_of("BitsStored")


@dataclass(frozen=True, slots=True)
class Equipment:
    """The units that metrics are kept apart for.

    Attributes
    ----------
    more
        Beside those of this file, the operator's: each a manufacturer and a model, as they stand in
        its images, in lower case.
    """

    more: frozenset[Unit] = frozenset()

    @classmethod
    def of(cls, named: Sequence[str]) -> "Equipment":
        """Return the list with an operator's units, each written as `manufacturer/model`.

        Raises
        ------
        ValueError
            One is written otherwise, or there are too many.
        """
        if len(named) > MAX_OPERATOR_UNITS:
            raise ValueError(f"more than {MAX_OPERATOR_UNITS} units")
        units = [tuple(part.strip().lower() for part in each.split("/", 1)) for each in named]
        for unit in units:
            if len(unit) != 2 or not all(unit):
                raise ValueError("write each unit as manufacturer/model")
        return cls(frozenset((manufacturer, model) for manufacturer, model in units))

    def unit(self, header: SourceHeader | None) -> Unit:
        """Return what an image is counted under; its header is None where it is no DICOM."""
        manufacturer, model = (_text(header, tag) for tag in _TAGS)
        if (manufacturer, model) in self.more:
            return manufacturer, model
        if not manufacturer:
            return UNSTATED, UNSTATED
        maker = next((name for name in MANUFACTURERS if _is_of(manufacturer, name)), OTHER)
        if not model:
            return maker, UNSTATED
        known = MODELS.get(maker, ())
        return maker, next((name for name in known if name in model), OTHER)


def bits_stored(header: SourceHeader | None) -> int | None:
    """Return Bits Stored (0028,0101) of an image, 1 to 16; None where it does not say."""
    raw = _raw(header, _BITS_STORED)
    if header is None or len(raw) != 2:
        return None
    bits = int.from_bytes(raw, "little" if header.little_endian else "big")
    return bits if 1 <= bits <= 16 else None


def _is_of(text: str, manufacturer: str) -> bool:
    return any(_begins(text, word) for word in MANUFACTURERS[manufacturer])


def _begins(text: str, word: str) -> bool:
    """Tell whether a text begins with a word; two letters must stand alone, as in GE HEALTHCARE."""
    return text.startswith(word) and (len(word) > 3 or not text[len(word) :][:1].isalnum())


def _raw(header: SourceHeader | None, tag: int) -> bytes:
    elements = () if header is None else header.elements
    return next((value for found, _, value in elements if found == tag), b"")


def _text(header: SourceHeader | None, tag: int) -> str:
    """Return an element as it is compared: ASCII in lower case, single spaces; "" if absent."""
    text = _raw(header, tag).decode("ascii", "replace").strip(" \0").lower()
    return re.sub(r"\s+", " ", text)
