"""When JPEG 2000 and HTJ2K may be decoded at half the resolution: nobody looks at what is finer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReducedDecoding:
    """When a decoder may halve an image: net and pictures still get all that they look at.

    It refuses no image: a coarse one is decoded whole.

    Attributes
    ----------
    spacing_mm
        Millimetres between the centres of pixels that are close enough.
    longest_side
        Pixels along the long side that are enough.
    pixel_spacing_mm
        Of the image, between (row, column) centres; None where the image itself is to say it.
    """

    spacing_mm: float
    longest_side: int
    pixel_spacing_mm: tuple[float, float] | None = None

    def allows_half(self, shape: tuple[int, int], stated_mm: tuple[float, float] | None) -> bool:
        """Say whether an image still shows as much at half its resolution.

        Parameters
        ----------
        shape
            (rows, columns) of the image.
        stated_mm
            Millimetres between (row, column) centres, as the image says; where nobody knows them,
            the answer is no.
        """
        own_mm = self.pixel_spacing_mm or stated_mm
        if own_mm is None:
            return False
        return 2 * max(own_mm) <= self.spacing_mm and max(shape) >= 2 * self.longest_side
