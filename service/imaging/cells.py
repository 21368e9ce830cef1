"""Which bits of a decoded cell are the sample: the codestream says it, or the header, or both."""

from dataclasses import replace

from pydicom.dataset import Dataset

from service.imaging.codecs.codestream import Codestream
from service.imaging.pixel_layout import PixelLayout
from service.imaging.transfer_syntaxes import LOSSLESS

_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_OVERLAY_BIT_POSITION = 0x0102


def layout_of_cells(layout: PixelLayout, claims: Codestream, syntax: str) -> PixelLayout:
    """Return the layout of what a frame was decoded to.

    Bits and sign are the codestream's (PS3.5 8.2). But some encoders are given whole cells in place
    of samples, with bits that do not count below or above those that do: overlays, or nothing
    (PS3.5 8.1.1). Then Bits Stored and High Bit hold as they do where nothing is compressed; with
    bits above the sample only where none was lost: a lossy codec's sample may need one more.

    An encoder that ignored Pixel Representation wrote the bits of signed samples as unsigned ones
    or the other way round; the header knows better what they mean, as pydicom and GDCM hold too.

    Parameters
    ----------
    layout
        As the header states it.
    claims
        The codestream's own.
    syntax
        Transfer syntax UID.
    """
    is_left_aligned = layout.bits_stored <= layout.high_bit < claims.precision
    is_whole = syntax in LOSSLESS and claims.precision == layout.bits_allocated
    if is_left_aligned or is_whole:
        return layout
    agrees = claims.signed is layout.signed or (claims.signed is None and not layout.signed)
    bits = claims.precision if agrees else min(claims.precision, layout.bits_stored)
    return replace(layout, bits_stored=bits, high_bit=bits - 1)


def may_hold_overlays(dataset: Dataset) -> bool:
    """Say whether bits that do not count may be overlays (60xx,0102), as allowed until 2004."""
    return any((group, _OVERLAY_BIT_POSITION) in dataset for group in _OVERLAY_GROUPS)
