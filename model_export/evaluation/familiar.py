"""Patients that a net knows: it was trained on an image of theirs, or an image of theirs chose."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from model_export.datasets import DatasetError, Sample
from model_export.datasets.images import read_mammogram
from model_export.datasets.splits import Split
from model_export.evaluation.parallel import in_parallel
from model_export.evaluation.unlabelled import UnlabelledImage
from model_export.seen_images import SeenImages, digest_of_image


@dataclass(frozen=True, slots=True)
class Familiar:
    """Who of a set is left out.

    Attributes
    ----------
    patients
        As the set names them now.
    seen
        Images of theirs that the net has seen.
    images
        All images of theirs.
    others
        Images of everyone else.
    """

    patients: frozenset[str] = frozenset()
    seen: int = 0
    images: int = 0
    others: int = 0

    def told(self, source: str) -> str:
        """Say it in a sentence."""
        return (
            f"{source}: {self.images} images of {len(self.patients)} patients are left out: the "
            f"net was trained on {self.seen} of them, or they chose its checkpoint or thresholds. "
            "They are known by what they hold, whatever folder and table call them now."
        )


def counts_against(seen: SeenImages, split: Split) -> frozenset[bytes]:
    """Return the digests of the images that may not stand in a split.

    Images that choose are what the validation split is made of, and those that train the split of
    that name.
    """
    if split == "train":
        return frozenset()
    return seen.trained if split == "validation" else seen.trained | seen.chose


def familiar(
    images: Iterable[Sample | UnlabelledImage], known: frozenset[bytes], source: str
) -> Familiar:
    """Return which patients of a set have an image that the net knows.

    Parameters
    ----------
    images
        Of the set, all that may be asked.
    known
        Digests; where there are none, nothing is read.
    source
        For the progress bar.
    """
    if not known:
        return Familiar()
    count: dict[str, int] = defaultdict(int)
    seen: dict[str, int] = defaultdict(int)
    for image, digest in in_parallel(_digest, images, f"{source}, whom the net knows"):
        count[image.patient] += 1
        seen[image.patient] += digest in known
    patients = frozenset(patient for patient in count if seen[patient])
    left_out = sum(count[patient] for patient in patients)
    return Familiar(patients, sum(seen.values()), left_out, sum(count.values()) - left_out)


def refuse_if_all(found: Familiar, source: str, what: str) -> None:
    """Refuse a set of which nothing is left.

    Raises
    ------
    DatasetError
        There are images, and every one is left out.
    """
    if found.images and not found.others:
        raise DatasetError(
            f"{source}: the net was trained on {what}, or they chose its checkpoint or "
            f"thresholds ({found.seen} of {found.images} images, the others of the same patients): "
            "they are known by what they hold, whatever folder and table call them now"
        )


def _digest(image: Sample | UnlabelledImage) -> bytes | None:
    if isinstance(image, Sample):
        return image.digest
    try:
        return digest_of_image(read_mammogram(image.path.parent, image.path.name).pixels)
    except DatasetError:  # The service will refuse it, and is asked why.
        return None
