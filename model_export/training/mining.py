"""Hard negatives: where the net in training sees lesions that are none, on its training images.

Shrivastava et al., "Training region-based object detectors with online hard example mining", 2016,
in its plain form: looked for between phases, then drawn again and again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from model_export.datasets.cache import Packed
from model_export.networks import SegmentationNet
from model_export.sampling.placement import FalsePositive
from model_export.training.validation import regions_of, segment
from service.system.whole_file import whole_file

MIN_PROBABILITY = 0.05
"""Of the surest pixel of a false positive that is kept."""

MARGIN = 9
"""Pixels around a lesion in which an answer counts as the lesion's own."""


def mine(
    net: SegmentationNet, samples: Sequence[Packed], maximum: float, precision: str
) -> list[FalsePositive]:
    """Return the false positives of a net, image after image.

    Parameters
    ----------
    net
        In evaluation mode.
    samples
        Of training patients; those whose lesions nobody drew are passed over.
    maximum
        Of the normalisation.
    precision
        As for `validate`.
    """
    around = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    found = []
    for sample in track(_drawn(samples), description="mining hard negatives"):
        probability, _ = segment(net, sample, maximum, precision.startswith("bf16"))
        assert probability is not None and sample.lesion is not None
        near = cv2.dilate(sample.lesion, around) > 0
        for score, region in regions_of(probability, MIN_PROBABILITY):
            if not (region & near).any():
                surest = int(np.where(region, probability, -1.0).argmax())
                row, column = divmod(surest, probability.shape[1])
                found.append(FalsePositive(sample.source, sample.name, row, column, score))
    return found


def mined_once(path: Path, mining: Callable[[], list[FalsePositive]]) -> list[FalsePositive]:
    """Return what a file holds; where there is none, mine and write it.

    So a resumed run goes on with the very same ones.
    """
    if not path.exists():
        rows = [list(one) for one in mining()]
        with whole_file(path) as partial:
            partial.write_text(json.dumps(rows))
    return [FalsePositive(*row) for row in json.loads(path.read_text())]


def _drawn(samples: Sequence[Packed]) -> list[Packed]:
    return [one for one in samples if one.lesion is not None]
