"""What must not be told from brightness, size or make: the label, and the side of the split."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from model_export.audit.brightness import brightness
from model_export.audit.leak import Probe, probe
from model_export.audit.survey import ImageSurvey
from model_export.datasets.splits import Split

BRIGHTNESS_SEEN = "brightness"
MAKE_SEEN = "rows, columns, maker"

LESION = "lesion or none"
TILES = "tiles as sampled for training"
ALL = "all sources"


def ask_images(images: Sequence[ImageSurvey]) -> list[Probe]:
    """Probe the images of each source, and all together, for their labels and their splits.

    A question is left out where its answer is known, as in a source without negatives.
    """
    probes: list[Probe] = []
    for where, group in _groups(images):
        kinds = {
            BRIGHTNESS_SEEN: np.stack([image.brightness for image in group]),
            MAKE_SEEN: make(group),
        }
        owners = [image.owner for image in group]
        for seen, features in kinds.items():
            if not features.std(axis=0).any():
                continue
            for question, chosen, labels in _questions(group):
                probes.append(
                    probe(
                        features[chosen],
                        labels[chosen],
                        [owners[index] for index in chosen],
                        question=question,
                        seen=seen,
                        where=where,
                    )
                )
    return probes


def ask_tiles(
    tiles: NDArray[np.float32],
    labels: NDArray[np.bool_],
    sources: Sequence[str],
    patients: Sequence[str],
) -> list[Probe]:
    """Probe the tiles that training would show the net, source by source and all together.

    Parameters
    ----------
    tiles
        float32, shape (tiles, rows, columns), as the net sees them.
    labels
        bool, shape (tiles,): whether the has-mask head is told that a lesion is in it.
    sources, patients
        Of each tile.
    """
    features = np.stack([brightness(tile) for tile in tiles])
    owners = list(zip(sources, patients, strict=True))
    names = dict.fromkeys(sources)
    probes = []
    for where in [*names, *([ALL] if len(names) > 1 else [])]:
        chosen = [index for index, source in enumerate(sources) if where in (source, ALL)]
        if len(set(labels[chosen].tolist())) < 2:
            continue
        probes.append(
            probe(
                features[chosen],
                labels[chosen],
                [owners[index] for index in chosen],
                question=LESION,
                seen=BRIGHTNESS_SEEN,
                where=f"{TILES}: {where}",
            )
        )
    return probes


def make(images: Sequence[ImageSurvey]) -> NDArray[np.float64]:
    """Return what tells an image's make: float64, shape (images, 2 + makers).

    Its rows and columns in pixels, then for each maker 1 or 0.
    """
    makers = sorted({image.manufacturer or "" for image in images})
    sides = np.array([image.shape for image in images], np.float64)
    names = np.array([[(image.manufacturer or "") == one for one in makers] for image in images])
    return np.hstack([sides, names.astype(np.float64)])


def _groups(images: Sequence[ImageSurvey]) -> Iterator[tuple[str, list[ImageSurvey]]]:
    sources = list(dict.fromkeys(image.source for image in images))
    for source in sources:
        yield source, [image for image in images if image.source == source]
    if len(sources) > 1:
        yield ALL, list(images)


def _questions(
    images: Sequence[ImageSurvey],
) -> Iterator[tuple[str, NDArray[np.intp], NDArray[np.bool_]]]:
    """Yield each question with the images that it is about and the answers of all images."""
    lesions = np.array([image.has_lesion for image in images])
    if lesions.any() and not lesions.all():
        yield LESION, np.arange(len(images)), lesions
    splits = np.array([image.split for image in images])
    for one, other in combinations(get_args(Split), 2):
        chosen = np.flatnonzero((splits == one) | (splits == other))
        if len(set(splits[chosen].tolist())) == 2:
            yield f"{one} or {other}", chosen, splits == other
