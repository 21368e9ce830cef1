"""Pairs of images side by side, to look at."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from model_export.audit.duplicates import Pair
from model_export.audit.survey import ImageSurvey

MAX_PAIRS = 24
"""On one sheet; the closest ones."""

PAIRS_A_ROW = 3

GAP = 0.15
"""Between two pairs, in widths of a picture."""


def save_sheet(pairs: Sequence[Pair], title: str, path: Path) -> None:
    """Draw the first pairs as a PNG picture.

    Parameters
    ----------
    pairs
        At least one.
    title
        Above the pairs.
    path
        Of the PNG file.
    """
    shown = pairs[:MAX_PAIRS]
    rows = -(-len(shown) // PAIRS_A_ROW)
    figure = Figure(figsize=(4.4 * PAIRS_A_ROW, 2.9 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{title} ({len(shown)} of {len(pairs)})")
    # Every third column is the gap after a pair.
    widths = [1.0, 1.0, GAP] * PAIRS_A_ROW
    grid = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
    for axis in grid.flat:
        axis.set_axis_off()
    for number, pair in enumerate(shown):
        row, column = divmod(number, PAIRS_A_ROW)
        for offset, image in enumerate((pair.first, pair.second)):
            axis = grid[row, 3 * column + offset]
            # The blocks are taken from a square; a breast is taller.
            axis.imshow(image.picture, cmap="gray", vmin=0, vmax=255, aspect=1.25)
            distance = f"{pair.distance:.4f}  " if offset == 0 else ""
            axis.set_title(f"{distance}{caption(image)}", fontsize=6)
    figure.savefig(path, dpi=110)


def caption(image: ImageSurvey) -> str:
    """Say in two lines which image this is, whose, and how it is labelled."""
    label = "lesion" if image.has_lesion else "none"
    return f"{image.source} {image.name}\npatient {image.patient}, {image.split}, {label}"
