"""The same picture stored in every depth, sign and polarity, and under every display transform."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.corpus.encodings import REFERENCE, REFERENCE_8
from tests.corpus.variant import Variant
from tests.corpus.view import NO_WINDOW, Stored, mammogram, window
from tests.dicom_files import to_codes

WINDOW = window(12)


def depths(stored: Stored) -> Iterator[Variant]:
    """Yield twins: Bits Stored, Pixel Representation, MONOCHROME1 and 2 (PS3.3 C.7.6.3)."""
    grey = stored >> 4
    for bits in (8, 10, 12, 14, 16):
        for signed in (False, True):
            for inverse in (False, True):
                low, high = (-(1 << (bits - 1)) if signed else 0), (1 << (bits - signed)) - 1
                values = grey << (bits - 8)
                name = f"{bits}-{'signed' if signed else 'unsigned'}-monochrome{2 - inverse}"
                yield Variant(
                    name=f"depth/{name}.dcm",
                    body=mammogram(
                        high - values if inverse else low + values,
                        bits_stored=bits,
                        bits_allocated=8 if bits == 8 else 16,
                        signed=signed,
                        PhotometricInterpretation=f"MONOCHROME{2 - inverse}",
                        PresentationLUTShape="INVERSE" if inverse else "IDENTITY",
                    ),
                    what=f"{bits} bits, {name.split('-', 1)[1]}",
                    rule="PS3.3 C.7.6.3.1.2",
                    same_as=REFERENCE_8,
                )


def _table(entries: list[int], descriptor: list[int]) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


def transforms(stored: Stored) -> Iterator[Variant]:
    """Yield Modality LUT, VOI LUT, window and padding, right and broken (PS3.3 C.11.1, C.11.2)."""
    straight = _table(list(range(4096)), [4096, 0, 12])
    roomy = _table(list(range(4096)), [4096, 0, 16])
    falling = _table([4095 - entry for entry in range(4096)], [4096, 0, 12])
    short, none = _table(list(range(100)), [4096, 0, 12]), Sequence([Dataset()])
    plain: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
        "window": ("a window over all values", WINDOW, ()),
        "window-exact": (
            "LINEAR_EXACT over all values",
            {"WindowCenter": 2047.5, "WindowWidth": 4095, "VOILUTFunction": "LINEAR_EXACT"},
            (),
        ),
        "several-windows": (
            "the first of several windows",
            {"WindowCenter": [2048, 100], "WindowWidth": [4096, 10]},
            ("voi-first-of-several",),
        ),
        "voi-lut": ("a VOI LUT outranks the window", {"VOILUTSequence": straight} | WINDOW, ()),
        "voi-lut-of-16-bits": (
            "a VOI LUT that states the bits its entries are stored in",
            {"VOILUTSequence": roomy},
            ("voi-lut-scaled",),
        ),
        "voi-lut-broken": (
            "a VOI LUT too short gives way to the window",
            {"VOILUTSequence": short} | WINDOW,
            ("voi-lut-ignored",),
        ),
        "voi-lut-empty": (
            "an empty VOI LUT, no window",
            {"VOILUTSequence": none},
            ("voi-lut-ignored",),
        ),
        "window-of-no-width": (
            "width 0",
            {"WindowCenter": 100, "WindowWidth": 0},
            ("window-ignored",),
        ),
        "window-of-odd-parts": (
            "two centres, one width",
            {"WindowCenter": [100, 200], "WindowWidth": 10},
            ("window-ignored",),
        ),
        "window-elsewhere": (
            "a window that shows nothing",
            {"WindowCenter": -30000, "WindowWidth": 10},
            ("window-ignored",),
        ),
        "rescale": ("slope and intercept", {"RescaleSlope": 2, "RescaleIntercept": -50}, ()),
        "rescale-broken": (
            "slope 0",
            {"RescaleSlope": 0, "RescaleIntercept": 7},
            ("rescale-ignored",),
        ),
        "shape-contradicts": (
            "Presentation LUT Shape INVERSE with MONOCHROME2",
            {"PresentationLUTShape": "INVERSE"},
            ("presentation-lut-shape-ignored",),
        ),
    }
    for name, (what, elements, warnings) in plain.items():
        yield Variant(
            name=f"contrast/{name}.dcm",
            body=mammogram(stored, **NO_WINDOW | elements),
            what=what,
            rule="PS3.3 C.11.1, C.11.2",
            warnings=warnings,
            same_as=REFERENCE,
        )
    yield Variant(
        name="contrast/modality-lut-first.dcm",
        body=mammogram(4095 - stored, ModalityLUTSequence=falling, **WINDOW),
        what="the modality LUT turns values over before the window",
        rule="PS3.3 C.11.1",
        same_as=REFERENCE,
    )
    yield Variant(
        name="contrast/sigmoid.dcm",
        body=mammogram(stored, VOILUTFunction="SIGMOID", **WINDOW),
        what="a sigmoid window",
        rule="PS3.3 C.11.2.1.3.1",
    )
    yield from _bits_and_padding(stored)


def _bits_and_padding(stored: Stored) -> Iterator[Variant]:
    overlay = to_codes(stored, 16, 12)
    overlay[10:40, 10:40] |= np.uint16(0xF000)
    yield Variant(
        name="contrast/overlay-bits.dcm",
        body=mammogram(stored, codes=overlay),
        what="an overlay in the bits above Bits Stored",
        rule="PS3.5 8.1.1",
        same_as=REFERENCE,
    )
    yield Variant(
        name="contrast/high-bit.dcm",
        body=mammogram(stored, codes=to_codes(stored, 16, 12) << np.uint16(4), HighBit=15),
        what="samples in the upper bits of their words",
        rule="PS3.5 8.1.1",
        same_as=REFERENCE,
    )
    inside = np.minimum(stored, 4000)
    padded = np.where(stored == 0, 4095, inside)
    padded[0, 0] = 0
    yield Variant(
        name="contrast/padding.dcm",
        body=mammogram(padded, PixelPaddingValue=4095, **NO_WINDOW),
        what="the background is Pixel Padding Value, the highest of all",
        rule="PS3.3 C.7.5.1.1.2",
        same_as="contrast/no-padding.dcm",
    )
    yield Variant(
        name="contrast/no-padding.dcm",
        body=mammogram(inside, **NO_WINDOW),
        what="the same without padding",
        rule="PS3.3 C.7.5.1.1.2",
    )
    yield Variant(
        name="contrast/polarity-lies.dcm",
        body=mammogram(stored, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=None),
        what="MONOCHROME1 over pixels whose air is dark: followed, and said",
        rule="PS3.3 C.7.6.3.1.2",
        warnings=("background-bright", "breast-saturated"),
    )
