"""What a codec is: one family of transfer syntaxes, from its claims to its samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.imaging.codecs.codestream import Codestream
from service.imaging.pixel_layout import PixelLayout

BYTES_PER_PIXEL = 5
"""Memory from the file to display values, beside the file itself: two bytes of codes, two of
display values, and what a decoder holds meanwhile, as measured."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How a frame may be decoded.

    Attributes
    ----------
    sandboxed
        This process may be lost to the file: decoders that guard their memory less may be used.
    half
        Half the resolution will do, brought to the grid of the whole image.
    """

    sandboxed: bool = False
    half: bool = False


@dataclass(frozen=True, slots=True)
class Codec:
    """A family of transfer syntaxes that one decoder reads.

    Attributes
    ----------
    name
        What people call it.
    lossless
        UIDs of those that always give back the very bits that were encoded, the most usual first.
    lossy
        UIDs of those that may not.
    starts
        Say whether a codestream starts with these bytes, which may be few.
    read_claims
        Read what a codestream says of itself, before it is decoded, beside the header's layout.
        Raises `UnreadableImage` for what is no such codestream.
    decode
        Decode a codestream whose claims have been checked, given layout and claims. Integers, shape
        (rows, columns), one sample a cell. Raises any error for what is broken.
    encode
        Encode an image, uint16, shape (rows, columns), as the first of `lossless`: for the doctor,
        who has every codec read one.
    halves
        Whether it knows `DecodeOptions.half`.
    bytes_per_pixel
        See `BYTES_PER_PIXEL`.
    """

    name: str
    lossless: tuple[str, ...]
    lossy: tuple[str, ...]
    starts: Callable[[bytes | memoryview], bool]
    read_claims: Callable[[bytes | memoryview, PixelLayout], Codestream]
    decode: Callable[[bytes, PixelLayout, Codestream, DecodeOptions], NDArray[Any]]
    encode: Callable[[NDArray[np.uint16]], bytes]
    halves: bool = False
    bytes_per_pixel: int = BYTES_PER_PIXEL

    @property
    def syntaxes(self) -> frozenset[str]:
        """All its transfer syntax UIDs."""
        return frozenset(self.lossless + self.lossy)
