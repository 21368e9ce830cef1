"""Whose images those of a plain folder are: what the table says, else what their headers say.

A split that puts two images of one person on two sides measures nothing.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from model_export.datasets.cbis_ddsm import patient_of_case
from model_export.datasets.images import patient_id
from model_export.datasets.tables import DatasetError, Row

_SIDE, _SEEN = "(?:L|R|LEFT|RIGHT)", "(?:CC|MLO|ML|LM)"
_VIEW = re.compile(
    rf"(?<![A-Z])(?:{_SIDE}[ _.-]?{_SEEN}|{_SEEN}[ _.-]?{_SIDE})(?![A-Z])", re.IGNORECASE
)
"""A side and a view, in an identifier: of an image, then, and of no patient."""


class Owner(NamedTuple):
    """The patient of an image, and whether anything says so.

    Where nothing does, the image may count as a patient of its own.
    """

    patient: str
    is_known: bool


def owners_of(
    folder: Path, images: Mapping[str, str], stated: Mapping[str, Row]
) -> dict[str, Owner]:
    """Return the owner of each image, by its stem.

    Patient ID (0010,0020) never leaves here as it stands, for it goes into reports: a digest of it
    does. Where all files have the same one, it is what an anonymiser wrote, and says nothing. Nor
    is it known whose images are where none has the Patient ID of another: they may be those of the
    images, as are all that are the file's name or have a side and a view in it. Those of CBIS-DDSM
    are of images, too, and name the patient.

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
    patients = {stem: patient_of_case(one) or one for stem, one in found.items()}
    known = said.keys() | _vouched(patients)
    named = {stem: _digest(patient) for stem, patient in patients.items()} | said
    return {stem: Owner(named.get(stem, stem), stem in known) for stem in images}


def _vouched(patients: Mapping[str, str]) -> set[str]:
    """Return the images of which a Patient ID says whose they are, by their stems."""
    of_patients = {
        stem: patient
        for stem, patient in patients.items()
        if patient.casefold() != stem.casefold() and not _VIEW.search(patient)
    }
    # One that two images have shows that they are of patients: the others, then, are, too.
    has_pair = max(Counter(of_patients.values()).values(), default=0) > 1
    return set(of_patients) if has_pair else set()


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
