"""What has to be known of a set before its figures are believed, a sentence each."""

from pathlib import Path

from model_export.datasets import READERS, folder
from model_export.datasets.distinct import name_of


def remarks_on(root: Path) -> list[str]:
    """Return what is odd about a set's folder: columns that nothing reads, patients not known.

    Raises
    ------
    DatasetError
        A table is not what it should be.
    """
    return unread_columns(root) + unknown_patients(root)


def unread_columns(root: Path) -> list[str]:
    """Return which columns of a set's own tables are passed over."""
    if not _is_own(root):
        return []
    return [
        f"{name_of(root)}: of {table}, nothing reads {', '.join(headings)}."
        for table, headings in folder.unread_columns(root).items()
    ]


def unknown_patients(root: Path) -> list[str]:
    """Return of how many images of a set nothing says whose they are."""
    if not _is_own(root):
        return []
    owners = folder.owners(root).values()
    unknown = sum(not one.is_known for one in owners)
    return [patients_unknown(name_of(root), unknown, len(owners))] if unknown else []


def patients_unknown(
    source: str, unknown: int, images: int, who: str = f"`patient` in {folder.TABLE}"
) -> str:
    """Say it in a sentence; `who` is what would say whose they are."""
    return (
        f"{source}: nothing says whose {unknown} of its {images} images are. Each counts as a "
        "patient of its own: one may lie on two sides of the split, and intervals are over images, "
        f"narrower than over patients. {who} would say it."
    )


def _is_own(root: Path) -> bool:
    return root.name not in READERS and folder.is_plain(root)
