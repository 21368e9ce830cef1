"""Figures on validation patients while a net trains, without a trip through ONNX.

They choose the checkpoint; what is reported comes from `evaluation`, through the service.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from model_export.datasets.cache import Packed
from model_export.metrics import Candidates, auc, brightest, dice, froc_sensitivity, match
from model_export.networks import SegmentationNet

MASK_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
CANDIDATE = 0.2
MINIMUM_REGION_PIXELS = 60

RATES = {"sensitivity_at_quarter": 0.25, "sensitivity_at_1": 1.0}
"""Figure: false positives an image at which it is the share of lesions found."""


@dataclass(slots=True)
class _Tally:
    dice: list[list[float]] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    candidates: list[Candidates] = field(default_factory=list)


def can_choose(samples: Sequence[Packed]) -> bool:
    """Say whether the figures of these samples can tell a better net from a worse one."""
    if any(one.lesion is not None and one.lesion.any() for one in samples):
        return True
    kinds = {(one.source, one.has_lesion) for one in samples}
    return any((source, not has_lesion) in kinds for source, has_lesion in kinds)


@torch.no_grad()
def validate(
    net: SegmentationNet, samples: Sequence[Packed], maximum: float, precision: str
) -> dict[str, float]:
    """Segment whole working images and give the figures of every source among them.

    Parameters
    ----------
    net
        In evaluation mode.
    samples
        Of the validation split.
    maximum
        Of the normalisation.
    precision
        Autocast to bfloat16 where it starts with "bf16".
    """
    tallies: dict[str, _Tally] = {}
    for sample in samples:
        tally = tallies.setdefault(sample.source, _Tally())
        probability, score = segment(net, sample, maximum, precision.startswith("bf16"))
        tally.scores.append(score)
        tally.labels.append(sample.has_lesion)
        if sample.lesion is None or probability is None:
            continue
        lesion = sample.lesion.astype(np.bool_)
        tally.candidates.append(match(regions_of(probability), lesion))
        if sample.has_lesion:
            tally.dice.append([dice(probability >= level, lesion) for level in MASK_THRESHOLDS])
            mask = brightest(sample.pixels, sample.breast.astype(np.bool_), 0.15)
            tally.baseline.append(dice(mask, lesion))
    return {
        f"{source}/{name}": value
        for source, tally in tallies.items()
        for name, value in _figures(tally).items()
    }


def _figures(tally: _Tally) -> dict[str, float]:
    figures = {"mean_score": float(np.mean(tally.scores))}
    if len(set(tally.labels)) == 2:
        figures["auc"] = auc(tally.scores, tally.labels)
    if tally.dice:
        figures["dice"] = float(np.mean(tally.dice, axis=0).max())
        figures["dice_brightest"] = float(np.mean(tally.baseline))
        for name, rate in RATES.items():
            figures[name] = froc_sensitivity(tally.candidates, rate)
    return figures


@torch.no_grad()
def segment(
    net: SegmentationNet, sample: Packed, maximum: float, autocast: bool
) -> tuple[NDArray[np.float32] | None, float]:
    """Return the probability map, float32, (rows, columns), and the has-mask score.

    The map is None where there is no mask to compare with.
    """
    rows, columns = sample.pixels.shape
    tile = sample.tile(maximum)[np.newaxis, np.newaxis]
    device = next(net.parameters()).device
    tiles = torch.from_numpy(tile).to(device, memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        features = net.encode(tiles)
        wanted = sample.lesion is not None or net.head.sees_mask
        logits = net.decode(features) if wanted else None
        _, has_mask = net.head(features[-1], logits)
    score = float(torch.sigmoid(has_mask.float())[0, 0])
    if logits is None or sample.lesion is None:
        return None, score
    probability = torch.sigmoid(logits.float())[0, 0, :rows, :columns].cpu().numpy()
    probability[sample.breast == 0] = 0.0
    return probability, score


def regions_of(
    probability: NDArray[np.float32], candidate: float = CANDIDATE
) -> list[tuple[float, NDArray[np.bool_]]]:
    """Return the pieces of a map from a threshold on, each with its largest probability."""
    mask = (probability >= candidate).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    regions = []
    for index in range(1, count):
        if stats[index, cv2.CC_STAT_AREA] >= MINIMUM_REGION_PIXELS:
            region = labels == index
            regions.append((float(probability[region].max()), region))
    return regions
