"""Reading a mask file: which of its values are lesion, whatever program wrote them.

White is lesion, and so is every label of a mask of classes or instances, in grey, in colours or in
a palette. Greys that a lossy codec or a resampling put between black and white are not labels: of
them, what is above half of white is lesion. What may be read in two ways is refused.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.images import check_one_page, read_mammogram
from model_export.datasets.tables import DatasetError

Levels = NDArray[np.uint16]

LOSSY = (".jpg", ".jpeg")
"""JPEG blurs, and leaves specks on what was all black: 255 is its white, even where nothing is."""

MAX_LABELS = 16
"""Distinct values above 0; what has more is no mask of labels."""

MIN_WHITE = 64
"""No program's white is below this where it is not 1: so dark a mask is one of labels."""

MAX_SPECK = 1 / 8
"""Share of white from its ends within which values are black or white with a loss."""

DIM = 1 / 4
"""Share of white from which a piece of a lossy mask is no speck."""

MIN_DIM_PIXELS = 25
"""Of such a piece."""

MAX_WHITE = 0.9
"""Share of the frame that a mask may cover: no lesion does, but the ground of an inverted one."""


def read_mask(folder: Path, name: str) -> NDArray[np.bool_]:
    """Read a mask: bool, shape (rows, columns), true where the lesion is.

    Raises
    ------
    DatasetError
        The file is no mask of 8 or 16 bits or holds several pages, or it is inverted, or it is not
        plain what is lesion.
    """
    suffix = Path(name).suffix.lower()
    levels = read_mammogram(folder, name).pixels if suffix == ".dcm" else _levels(folder, name)
    lesion = _lesion(levels, name, is_lossy=suffix in LOSSY)
    if lesion.mean() > MAX_WHITE:
        raise DatasetError(
            f"{name} is white on {lesion.mean():.0%} of its frame: inverted? White is the lesion"
        )
    return lesion


def _levels(folder: Path, name: str) -> Levels:
    """Return one value a pixel, the brightest of its channels; or its opacity, where that says it.

    A blue label is as good as a red one, of which a conversion to grey leaves more.
    """
    check_one_page(folder, name)
    values = cv2.imread(str(folder / name), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if values is None or values.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{name} is not a readable mask of 8 or 16 bits")
    painted: Levels = (values if values.ndim == 2 else values.max(axis=2)).astype(np.uint16)
    if values.ndim == 2:
        return painted
    stored = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4:
        return painted
    opacity: Levels = stored[:, :, 3].astype(np.uint16)
    if opacity.min() == opacity.max():
        return painted
    visible = painted[opacity > 0]
    if visible.any() and not visible.all():
        raise DatasetError(
            f"{name} says one thing by its colours and another by what is transparent: save it "
            "without transparency, white where the lesion is"
        )
    return opacity


def _lesion(levels: Levels, name: str, *, is_lossy: bool) -> NDArray[np.bool_]:
    white = 255 if is_lossy else int(levels.max())
    lesion: NDArray[np.bool_] = levels > white / 2
    if is_lossy or not _are_labels(levels, white):
        _refuse_dim(levels, white, name)
        return lesion
    labelled: NDArray[np.bool_] = levels > 0
    return labelled


def _are_labels(levels: Levels, white: int) -> bool:
    """Tell labels from the greys of a loss: those are many, or near an end, or a thin border."""
    values = np.unique(levels[levels > 0])
    if len(values) <= 1 or white < MIN_WHITE:
        return True
    if len(values) > MAX_LABELS:
        return False
    near_an_end = (values <= MAX_SPECK * white) | (values >= (1 - MAX_SPECK) * white)
    if len(values) > 2 and near_an_end.all():
        return False
    return not _is_a_border((levels > 0) & (levels < white), levels == white)


def _is_a_border(between: NDArray[np.bool_], white: NDArray[np.bool_]) -> bool:
    """Say whether pixels between black and white are nothing but thin rims around the white."""
    square = np.ones((3, 3), np.uint8)
    if cv2.erode(between.astype(np.uint8), square, borderValue=0).any():
        return False
    count, pieces = cv2.connectedComponents((between | white).astype(np.uint8), connectivity=8)
    return len(np.unique(pieces[white])) == count - 1


def _refuse_dim(levels: Levels, white: int, name: str) -> None:
    """Refuse a piece that is no speck and nowhere white enough: half of white would lose it."""
    count, pieces, facts, centres = cv2.connectedComponentsWithStats(
        (levels >= max(1.0, DIM * white)).astype(np.uint8), connectivity=8
    )
    bright = set(np.unique(pieces[levels > white / 2]).tolist())
    for piece in range(1, count):
        if piece not in bright and facts[piece, cv2.CC_STAT_AREA] >= MIN_DIM_PIXELS:
            x, y = centres[piece]
            raise DatasetError(
                f"{name} is grey around x {x:.0f}, y {y:.0f}, neither black nor white: make what "
                "is lesion white, and save it without loss (PNG)"
            )
