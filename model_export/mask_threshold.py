"""Which thresholds suit the maps of validation patients: for the mask, and for candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.froc import Froc
from model_export.metrics import Lesions, Mark, dice, match_marks
from service.findings import regions_and_mask
from service.imaging.stitch import LesionMap
from service.inference.contract import OperatingPoint

MASK_THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(16))
"""None lower: a mask of what is probably no lesion, whatever its Dice, is no mask to show."""

CANDIDATE_THRESHOLDS = (0.2, 0.1, 0.05, 0.02, 0.01)
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives an image at which the candidate threshold is judged."""

GAIN = 0.005
"""By which a lower candidate threshold must find more: it makes every answer longer."""

MINIMUM_REGION_MM2 = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A lesion, and the map that should show it; bool of the image's shape, and mm a pixel."""

    source: str
    lesion: NDArray[np.bool_]
    lesion_map: LesionMap
    spacing_mm: tuple[float, float]


def choose_mask(drawn: Sequence[Drawn]) -> float:
    """Return the mask threshold of the best mean Dice, masks made exactly as they are served.

    Raises
    ------
    ValueError
        Nothing is outlined.
    """
    if not drawn:
        raise ValueError("the mask threshold needs validation images with outlined lesions")
    return max(MASK_THRESHOLDS, key=lambda level: _mean_dice(drawn, level))


def choose_candidate(drawn: Sequence[Drawn], mask: float) -> float:
    """Return the candidate threshold that finds most lesions, FROC taken as it is served.

    The highest one from which no lower one finds `GAIN` more, in the mean over `RATES`.

    Parameters
    ----------
    drawn
        Validation images whose lesions are outlined.
    mask
        The mask threshold, which candidates must not exceed.
    """
    best, found = min(CANDIDATE_THRESHOLDS[0], mask), -1.0
    for level in CANDIDATE_THRESHOLDS:
        if level > mask:
            continue
        own = _mean_sensitivity(drawn, level, mask)
        if own > found + GAIN:
            best, found = level, own
    return best


def _mean_sensitivity(drawn: Sequence[Drawn], candidate: float, mask: float) -> float:
    matched = []
    for one in drawn:
        regions, _ = regions_and_mask(one.lesion_map, _point(mask, candidate), one.spacing_mm)
        marks = [
            Mark(region.max_probability, region.box.top, region.box.left, region.pixels)
            for region in regions
        ]
        matched.append(match_marks(marks, Lesions.of(one.lesion)))
    return float(Froc(matched).sensitivities(np.ones((1, len(matched))), RATES).mean())


def _mean_dice(drawn: Sequence[Drawn], level: float) -> float:
    """Return the mean over the sources of their mean Dice."""
    found: dict[str, list[float]] = {}
    for one in drawn:
        point = _point(level, min(level, CANDIDATE_THRESHOLDS[0]))
        _, mask = regions_and_mask(one.lesion_map, point, one.spacing_mm)
        found.setdefault(one.source, []).append(dice(mask, one.lesion))
    return float(np.mean([np.mean(own) for own in found.values()]))


def _point(mask: float, candidate: float) -> OperatingPoint:
    return OperatingPoint(
        has_mask=0.5,
        chosen_by="sweep",
        mask=mask,
        candidate=candidate,
        minimum_region_mm2=MINIMUM_REGION_MM2,
    )
