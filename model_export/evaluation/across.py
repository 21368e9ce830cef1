"""The has-mask score across sources, said to be what it is: the source itself can be guessed.

A set without a lesion-free image has no AUC of its own. Its positives can be set against the
normals of another set, but film, scanner and cropping differ too, and a score that follows these
would do well. So each such figure stands beside that of a linear model which tells the two sets
apart by brightness and size alone.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from model_export.audit.leak import FEWEST_PATIENTS, held_out_ranks
from model_export.evaluation.bootstrap import Named
from model_export.evaluation.choices import by_source, scores_and_labels
from model_export.evaluation.image_result import ImageResult
from model_export.metrics import weighted_auc

AGAINST = " against "
"""Between the two sources in the name of such a pair."""


def pairs(images: Sequence[ImageResult]) -> dict[str, list[ImageResult]]:
    """Return the positives of each source without negatives, joined with each source's normals.

    Normals are images that people called lesion-free; "no cancer" does not count as that.
    """
    found = {}
    for (name, own), (other, theirs) in product(by_source(images).items(), repeat=2):
        normals = [image for image in theirs if image.annotation == "normal"]
        positives = [image for image in own if image.has_lesion]
        lacks_negatives = not any(image.has_lesion is False for image in own)
        if positives and normals and lacks_negatives:
            found[f"{name}{AGAINST}{other}"] = positives + normals
    return found


def across_figures(images: Sequence[ImageResult]) -> Named:
    """Yield the figures on one pair of `pairs`."""
    scores, labels = scores_and_labels(images)
    yield "auc_across", images, lambda weights: weighted_auc(scores, labels, weights)
    guess = guessed(images)
    if guess is not None:
        yield "source_guess_auc", images, lambda weights: weighted_auc(guess, labels, weights)


def guessed(images: Sequence[ImageResult]) -> NDArray[np.float64] | None:
    """Return how a linear model on brightness ranks images of patients it was not fitted on.

    float64 in [0, 1], shape (images,).

    None where a class has too few patients, or the brightness of an image is not known.
    """
    _, labels = scores_and_labels(images)
    names = [f"{image.source}/{image.patient}" for image in images]
    _, owners = np.unique(names, return_inverse=True)
    patients = [len(np.unique(owners[labels == kind])) for kind in (False, True)]
    if min(patients) < FEWEST_PATIENTS or not all(image.brightness for image in images):
        return None
    return held_out_ranks(np.array([image.brightness for image in images]), labels, owners)
