"""Folders of DICOM files about which nobody tells the truth."""

from dataclasses import dataclass
from pathlib import Path

from model_export.datasets.images import HEAD_BYTES
from model_export.datasets.patients import owners_of
from model_export.datasets.walk import files_below
from service.imaging.dicom import looks_like_dicom

SUFFIXES = frozenset((".dcm", ".dicom", ".ima"))
"""Of files that are taken for DICOM whatever they hold; others are looked into."""


@dataclass(frozen=True, slots=True)
class UnlabelledImage:
    """A file about which nobody tells the truth.

    Attributes
    ----------
    patient
        A digest of its Patient ID, as in `Sample`.
    patient_is_known
        False where nothing says whose it is: it then counts as a patient of its own.
    """

    source: str
    patient: str
    path: Path
    patient_is_known: bool = True

    @property
    def name(self) -> str:
        """Folder and file, without its ending."""
        return f"{self.path.parent.name}/{self.path.stem}"


def unlabelled(root: Path, source: str) -> list[UnlabelledImage]:
    """Return the DICOM files of a folder and of those below it, in the order of their paths.

    They belong to whom their Patient ID names, not to the folder that they lie in: that may hold
    one series, one visit, or everybody.
    """
    # As the service finds them in a folder: by what they hold.
    files = [path for path in sorted(files_below(root)) if _is_dicom(path)]
    stems = {file.stem for file in files}
    images = {
        file.stem if len(stems) == len(files) else file.relative_to(root).as_posix(): str(
            file.relative_to(root)
        )
        for file in files
    }
    owners = owners_of(root, images, {})
    return [
        UnlabelledImage(source, owner.patient, root / images[key], owner.is_known)
        for key, owner in owners.items()
    ]


def _is_dicom(path: Path) -> bool:
    # A DICOMDIR begins as an image does.
    if not path.is_file() or path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return looks_like_dicom(file.read(HEAD_BYTES))
    except OSError:  # Whoever reads it says so.
        return True
