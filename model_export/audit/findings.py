"""The audit itself: look at every image, compare, probe, and say what was found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from model_export.audit import THRESHOLD
from model_export.audit.duplicates import Pair, closest, shared_patients
from model_export.audit.leak import Probe
from model_export.audit.questions import ask_images, ask_tiles
from model_export.audit.survey import ImageSurvey, survey
from model_export.config import TrainingConfig
from model_export.datasets import DatasetError, cache
from model_export.datasets.lost_lesions import remarks_on_lost
from model_export.datasets.remarks import unread_columns
from model_export.datasets.splits import Split

BEYOND = 2.0
"""Pairs up to this multiple of the threshold are shown beside the near-duplicates, so that a reader
sees whether it divides the same images from like ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What was found.

    Attributes
    ----------
    images
        Everything that was looked at.
    threshold
        Cosine distance below which two images are near-duplicates.
    shared
        Patients, as (source, identifier), on more than one side of the split.
    duplicates, beyond
        Pairs below the threshold, and those from there to `BEYOND` times it; the closest first.
    probes
        What a linear model could tell.
    notes
        What was not looked at, and why; columns that nothing reads, lesions too fine.
    """

    images: list[ImageSurvey]
    threshold: float
    shared: dict[tuple[str, str], set[Split]]
    duplicates: list[Pair]
    beyond: list[Pair]
    probes: list[Probe]
    notes: tuple[str, ...] = ()

    @property
    def unowned(self) -> dict[str, int]:
        """By source, how many images count as patients of their own since nothing says whose."""
        return dict(Counter(one.source for one in self.images if not one.patient_is_known))

    @property
    def contradictory(self) -> list[Pair]:
        """Near-duplicates that are labelled differently."""
        return [pair for pair in self.duplicates if pair.contradictory]

    @property
    def across_splits(self) -> list[Pair]:
        """Near-duplicates on two sides of the split: one person under two identifiers."""
        return [pair for pair in self.duplicates if pair.across_splits]

    @property
    def sound(self) -> bool:
        """Whether no patient that is known is on two sides of the split, nor a like image."""
        return not self.shared and not self.across_splits


def audit(
    data: Path,
    sources: Sequence[str],
    threshold: float = THRESHOLD,
    working_mm: float | None = None,
) -> Audit:
    """Look at the images of the sources.

    Parameters
    ----------
    data
        Holds one folder a source.
    sources
        Their names.
    threshold
        Cosine distance below which two images are near-duplicates.
    working_mm
        Of the grid that a net would be trained on; None where lesions too fine for it are not
        looked for.

    Raises
    ------
    DatasetError
        A source cannot be read, or none is named.
    """
    if not sources:
        raise DatasetError("nothing to audit: the data folder holds no data set that can be read")
    found = audit_images(survey(data, sources, working_mm), threshold)
    notes = [note for source in sources for note in unread_columns(data / source)]
    if working_mm is not None:
        notes += remarks_on_lost(found.images, working_mm)
    return replace(found, notes=tuple(notes))


def audit_images(images: Sequence[ImageSurvey], threshold: float = THRESHOLD) -> Audit:
    """Compare and probe images that were looked at already."""
    pairs = closest(images, BEYOND * threshold)
    return Audit(
        images=list(images),
        threshold=threshold,
        shared=shared_patients(images),
        duplicates=[pair for pair in pairs if pair.distance < threshold],
        beyond=[pair for pair in pairs if pair.distance >= threshold],
        probes=ask_images(images),
    )


def with_tiles(found: Audit, config: TrainingConfig, data: Path, packed: Path, count: int) -> Audit:
    """Add the leak probe of training tiles, where all of the run's sources were looked at."""
    missing = set(config.sources) - {image.source for image in found.images}
    if missing:
        note = f"Training tiles were not probed: {config.name} draws from {sorted(missing)} too."
        return replace(found, notes=(*found.notes, note))
    try:
        probes = audit_tiles(config, data, packed, count)
    except ValueError as error:
        note = f"Training tiles were not probed: {error} ({config.name})."
        return replace(found, notes=(*found.notes, note))
    return replace(found, probes=found.probes + probes)


def audit_tiles(config: TrainingConfig, data: Path, packed: Path, count: int) -> list[Probe]:
    """Probe tiles of the training patients, sampled as a training run would.

    Parameters
    ----------
    config
        Of the run.
    data
        Holds one folder a source.
    packed
        Folder of the packed samples; what is missing there is made.
    count
        Of tiles.

    Raises
    ------
    ValueError
        The config samples no tiles that teach whether a lesion is there.
    """
    from model_export.sampling.probed import tiles_as_sampled

    cache.build(data, packed, config.sources, config.working_mm, config.normalisation)
    samples = [
        sample
        for source in config.sources
        for sample in cache.load(packed, source, config.working_mm, config.normalisation)
        if sample.split == "train"
    ]
    with Console().status(f"sampling {count} training tiles"):
        return ask_tiles(*tiles_as_sampled(samples, config, count))
