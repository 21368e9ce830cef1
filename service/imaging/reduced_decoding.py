"""When JPEG 2000 and HTJ2K may be decoded at half the resolution: the net sees nothing finer."""

from dataclasses import dataclass

WHOLE_PICTURE = 1 << 31
"""A side that no image has: nothing of a picture may be left out."""


@dataclass(frozen=True, slots=True)
class ReducedDecoding:
    """When a decoder may halve an image: the net still gets all that it looks at.

    It refuses no image: a coarse one is decoded whole.

    Attributes
    ----------
    spacing_mm
        Millimetres between the centres of pixels that are close enough.
    pixel_spacing_mm
        Of the image, between (row, column) centres; None where the image itself is to say it.
    """

    spacing_mm: float
    pixel_spacing_mm: tuple[float, float] | None = None

    def allows_half(self, stated_mm: tuple[float, float] | None) -> bool:
        """Say whether an image is still fine enough at half its resolution.

        Parameters
        ----------
        stated_mm
            Millimetres between (row, column) centres, as the image says; where nobody knows them,
            the answer is no.
        """
        own_mm = self.pixel_spacing_mm or stated_mm
        return own_mm is not None and 2 * max(own_mm) <= self.spacing_mm
