"""Which patients train, choose and report: a hash decides, so nothing has to be stored."""

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]
"""Weights come from `train`; checkpoints, thresholds and temperatures from `validation`; the
figures we publish from `test`, which decides nothing."""

TEST_PERCENT = 20
VALIDATION_PERCENT = 12


def split_of(source: str, patient: str) -> Split:
    """Give the split of a patient; all images of one patient share it, on every machine."""
    digest = hashlib.sha256(f"{source}/{patient}".encode()).digest()
    percentile = int.from_bytes(digest[:8], "big") % 100
    if percentile < TEST_PERCENT:
        return "test"
    return "validation" if percentile < TEST_PERCENT + VALIDATION_PERCENT else "train"
