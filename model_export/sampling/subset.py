"""A part of the training patients, for learning curves."""

import hashlib
from collections.abc import Sequence

from model_export.datasets.cache import Packed


def nested_share(samples: Sequence[Packed], share: float) -> list[Packed]:
    """Keep about a share of the patients, all images of each.

    A hash decides, so every smaller share lies within every larger one, on every machine; it is not
    the hash of the splits, or a share would hold one end of the training patients only.
    """
    return [sample for sample in samples if _place(sample.source, sample.patient) < share]


def _place(source: str, patient: str) -> float:
    """Return a number from 0 to 1 that belongs to a patient."""
    digest = hashlib.sha256(f"share/{source}/{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
