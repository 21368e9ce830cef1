"""Which patients train and which validate: a hash decides, so nothing has to be stored."""

import hashlib
from typing import Literal

Split = Literal["train", "validation"]

VALIDATION_PERCENT = 20


def split_of(source: str, patient: str) -> Split:
    """Give the split of a patient; all images of one patient share it, on every machine."""
    digest = hashlib.sha256(f"{source}/{patient}".encode()).digest()
    percentile = int.from_bytes(digest[:8], "big") % 100
    return "validation" if percentile < VALIDATION_PERCENT else "train"
