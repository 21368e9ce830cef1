"""The same mammogram with another edge: the answer must stay.

A film that is exported or scanned twice is never cut at the same pixel. A net that halves its maps
sees it on another grid then, and may answer otherwise (Azulay & Weiss, "Why do deep convolutional
networks generalize so poorly to small image transformations?", 2019).
"""

from dataclasses import replace

from service.imaging.mammogram import Mammogram

CUT_MM = (1.5, 2.7)
"""From the top, and from the left: five and nine pixels at 0.3 mm, no multiple of a halving."""


def cropped(mammogram: Mammogram, spacing_mm: tuple[float, float]) -> Mammogram:
    """Cut a mammogram at the top and at the left; a pixel at least stays.

    Parameters
    ----------
    mammogram
        Any.
    spacing_mm
        Between its (row, column) centres.
    """
    rows, columns = (
        min(length - 1, round(cut / step))
        for length, cut, step in zip(mammogram.pixels.shape, CUT_MM, spacing_mm, strict=True)
    )
    return replace(mammogram, pixels=mammogram.pixels[rows:, columns:])
