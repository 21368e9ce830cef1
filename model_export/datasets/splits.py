"""Which patients train, choose and report: a hash decides, so nothing has to be stored."""

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]
"""Weights come from `train`; checkpoints, thresholds and temperatures from `validation`; the
figures we publish from `test`, which decides nothing."""

Part = Literal["train", "test"]
"""A patient's side in the split that a data set came with, and that papers compare on."""

TEST_PERCENT = 20
VALIDATION_PERCENT = 12

SAME_PATIENTS = {"cbis-ddsm-800": "cbis-ddsm"}
"""Sources that are copies of another one: their patients lie on its side of every split."""


def split_of(source: str, patient: str, part: Part | None = None) -> Split:
    """Return the split of a patient; all images of one patient share it, on every machine.

    Parameters
    ----------
    source, patient
        As in `Sample`.
    part
        Of the data set's own split, where it has one: its test patients are the test patients,
        and validation patients come out of its training part.
    """
    key = f"{SAME_PATIENTS.get(source, source)}/{patient}"
    digest = hashlib.sha256(key.encode()).digest()
    percentile = int.from_bytes(digest[:8], "big") % 100
    if part == "test" or (part is None and percentile < TEST_PERCENT):
        return "test"
    chosen = TEST_PERCENT <= percentile < TEST_PERCENT + VALIDATION_PERCENT
    return "validation" if chosen else "train"
