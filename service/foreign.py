"""What only nets of other frameworks ask for, between tiles and regions (contract version 2)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.imaging.resample import WorkingImage
from service.imaging.stitch import LesionMap, stitch, stitch_classes
from service.imaging.tiles import Tile
from service.inference.contract import Contract
from service.inference.net import TilePrediction

CHEST_WALL = 8
"""A band of one eighth of the width at either side: the breast fills more of the chest wall's."""


def must_turn(working: WorkingImage, contract: Contract) -> bool:
    """Say whether the chest wall lies at the other side than the net was trained to have it."""
    facing = contract.adopted.facing if contract.adopted is not None else None
    if facing is None:
        return False
    band = max(1, working.breast.shape[1] // CHEST_WALL)
    left = np.count_nonzero(working.breast[:, :band])
    right = np.count_nonzero(working.breast[:, -band:])
    return bool(right > left if facing == "left" else left > right)


def mirrored(working: WorkingImage) -> WorkingImage:
    """Return the mirror image; its box stays the source's own."""
    return replace(
        working,
        pixels=np.ascontiguousarray(working.pixels[:, ::-1]),
        breast=np.ascontiguousarray(working.breast[:, ::-1]),
    )


def mirrored_map(lesion_map: LesionMap) -> LesionMap:
    """Turn the map of a mirror image back."""
    classes = lesion_map.classes
    return replace(
        lesion_map,
        probability=np.ascontiguousarray(lesion_map.probability[:, ::-1]),
        classes=None if classes is None else np.ascontiguousarray(classes[..., ::-1]),
    )


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
