"""How the samples of a grey frame lie in memory, as the header states it."""

from dataclasses import dataclass
from typing import Literal

Photometric = Literal["MONOCHROME1", "MONOCHROME2"]


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """The Image Pixel module (PS3.3 C.7.6.3) of grey frames.

    Attributes
    ----------
    rows, columns
        Size in pixels.
    bits_allocated
        8 or 16.
    bits_stored, high_bit
        The bits that hold the sample; the others may hold anything (PS3.5 8.1.1).
    signed
        Pixel Representation: two's complement.
    photometric_interpretation
        MONOCHROME1 shows the lowest value white, MONOCHROME2 black (PS3.3 C.7.6.3.1.2).
    frames
        How many there are (C.7.6.6).
    """

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: Photometric
    frames: int = 1

    @property
    def frame_bytes(self) -> int:
        """Length of one uncompressed frame."""
        return self.rows * self.columns * (self.bits_allocated // 8)
