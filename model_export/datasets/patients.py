"""Whose images those of a plain folder are: what the table says, else what their headers say.

A split that puts two images of one person on two sides measures nothing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from model_export.datasets.images import patient_id
from model_export.datasets.tables import DatasetError, Row


class Owner(NamedTuple):
    """The patient of an image, and whether anything says so, or the image counts as its own."""

    patient: str
    is_known: bool


def owners_of(
    folder: Path, images: Mapping[str, str], stated: Mapping[str, Row]
) -> dict[str, Owner]:
    """Return the owner of each image, by its stem.

    Patient ID (0010,0020) never leaves here as it stands, for it goes into reports: a digest of it
    does. Where all files have the same one, it is what an anonymiser wrote, and says nothing.

    Parameters
    ----------
    images
        Stem to path in the folder.
    stated
        Stem to row of the table, where there is one.
    """
    said = {stem: row["patient"] for stem, row in stated.items() if row.get("patient")}
    unsaid = {stem: image for stem, image in images.items() if stem not in said}
    found = {
        stem: identifier
        for stem, image in unsaid.items()
        if (identifier := patient_id(folder, image)) is not None
    }
    if len(found) > 1 and len(set(found.values())) == 1:
        found = {}
    digests = {stem: _digest(identifier) for stem, identifier in found.items()}
    known = digests | said
    return {stem: Owner(known.get(stem, stem), stem in known) for stem in images}


def _digest(identifier: str) -> str:
    return f"id-{hashlib.sha256(identifier.encode()).hexdigest()[:16]}"


def check_parts(owners: Mapping[str, Owner], parts: Mapping[str, str | None], table: str) -> None:
    """Refuse a patient on two sides: with an empty part, the hash may put it on the other one.

    Raises
    ------
    DatasetError
        Images of one patient are in several parts; the message names one of them.
    """
    sides: dict[str, dict[str | None, str]] = defaultdict(dict)
    for stem, owner in owners.items():
        sides[owner.patient].setdefault(parts[stem], stem)
    for patient, own in sides.items():
        if len(own) > 1:
            names = " and ".join(sorted(part or "none" for part in own))
            examples = " and ".join(sorted(own.values()))
            raise DatasetError(
                f"{table}: images of patient {patient} are in the parts {names} ({examples})"
            )
