"""What only nets of other frameworks ask for, between tiles and regions (contract version 2)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.imaging.resample import WorkingImage
from service.imaging.stitch import LesionMap, stitch, stitch_classes
from service.imaging.tiles import Tile
from service.inference.contract import Contract
from service.inference.net import TilePrediction

CHEST_WALL = 8
"""A band of one eighth of the width at either side: the breast fills more of the chest wall's."""


def faces_away(breast: NDArray[np.bool_], contract: Contract) -> bool:
    """Say whether the chest wall lies at the other side than the net was trained to have it.

    Parameters
    ----------
    breast
        bool, shape (rows, columns), upright.
    contract
        The model's.
    """
    facing = contract.adopted.facing if contract.adopted is not None else None
    if facing is None:
        return False
    band = max(1, breast.shape[1] // CHEST_WALL)
    left = np.count_nonzero(breast[:, :band])
    right = np.count_nonzero(breast[:, -band:])
    return bool(right > left if facing == "left" else left > right)


def lesion_map_of(
    working: WorkingImage,
    tiles: Sequence[Tile],
    answers: Sequence[TilePrediction],
    contract: Contract,
) -> LesionMap:
    """Blend the tiles' answers as the contract says.

    Parameters
    ----------
    working
        What the tiles were cut from.
    tiles, answers
        The tiles, and what the net says of each, in the same order.
    contract
        The model's.
    """
    tiling, adopted = contract.tiling, contract.adopted
    maps = [one.probability for one in answers]
    lesion_map = stitch(working, tiles, maps, tiling.blend, blank=adopted is None)
    channels = [] if adopted is None else [one.channel for one in adopted.classes]
    each = [one.classes for one in answers if one.classes is not None]
    if not channels or not each:
        return lesion_map
    logarithms = tiling.blend_in == "logarithm"
    blended = stitch_classes(working, tiles, each, blend=tiling.blend, logarithms=logarithms)
    classes = blended[channels]
    if not logarithms:
        return replace(lesion_map, classes=classes)
    return replace(lesion_map, probability=np.minimum(classes.sum(axis=0), 1.0), classes=classes)
