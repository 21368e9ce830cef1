"""One pass over the images, keeping of each what the audit compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from model_export.audit.blocks import block_histograms, shrink
from model_export.audit.brightness import brightness
from model_export.datasets import Annotation, Sample, read_source
from model_export.datasets.cache import resize_mask
from model_export.datasets.lost_lesions import NONE_DRAWN, Kept, kept_of
from model_export.datasets.splits import Split


@dataclass(frozen=True, slots=True, eq=False)
class ImageSurvey:
    """What is kept of an image.

    Attributes
    ----------
    source, name, patient, has_lesion, annotation, manufacturer, patient_is_known
        See `Sample`.
    split
        The side of the split that the patient is on.
    shape
        (rows, columns) of the image.
    brightness
        float64, shape (6,); see `model_export.audit.brightness`.
    blocks
        float32 of length 1; see `model_export.audit.blocks`.
    kept
        Of the lesions that were drawn, on the grid that was asked about.
    picture
        uint8, shape (160, 160): to look at, with its contrast stretched.
    """

    source: str
    name: str
    patient: str
    split: Split
    has_lesion: bool
    annotation: Annotation
    manufacturer: str | None
    shape: tuple[int, int]
    brightness: NDArray[np.float64]
    blocks: NDArray[np.float32]
    picture: NDArray[np.uint8]
    patient_is_known: bool = True
    kept: Kept = NONE_DRAWN

    @property
    def owner(self) -> tuple[str, str]:
        """Return source and patient; a patient's identifier alone may mean two people."""
        return self.source, self.patient


def survey(
    data: Path, sources: Sequence[str], working_mm: float | None = None
) -> list[ImageSurvey]:
    """Look at every image of the sources, with a progress bar.

    Parameters
    ----------
    data
        Holds one folder a source.
    sources
        Their names.
    working_mm
        Of the grid on which lesions are looked for; None for none.

    Raises
    ------
    DatasetError
        A source cannot be read.
    """
    return [
        look_at(sample, working_mm)
        for source in sources
        for sample in track(read_source(data, source), description=f"looking at {source}")
    ]


def look_at(sample: Sample, working_mm: float | None = None) -> ImageSurvey:
    """Keep what the audit needs of a sample."""
    small = shrink(sample.pixels).astype(np.float32)
    low, high = np.percentile(small, (0.5, 99.5))
    stretched = np.clip((small - low) / max(float(high - low), 1.0), 0.0, 1.0) * 255
    return ImageSurvey(
        source=sample.source,
        name=sample.name,
        patient=sample.patient,
        split=sample.split,
        has_lesion=sample.has_lesion,
        annotation=sample.annotation,
        manufacturer=sample.manufacturer,
        shape=(sample.pixels.shape[0], sample.pixels.shape[1]),
        brightness=brightness(sample.pixels) / 65535,
        blocks=block_histograms(sample.pixels),
        picture=stretched.astype(np.uint8),
        patient_is_known=sample.patient_is_known,
        kept=NONE_DRAWN if working_mm is None else _kept(sample, working_mm),
    )


def _kept(sample: Sample, working_mm: float) -> Kept:
    """Count lesions on the grid; that of training begins at the breast's edge, which moves few."""
    if sample.lesion is None:
        return NONE_DRAWN
    rows, columns = (
        max(1, round(side * spacing / working_mm))
        for side, spacing in zip(sample.lesion.shape, sample.pixel_spacing_mm, strict=True)
    )
    return kept_of(sample.lesion, resize_mask(sample.lesion, (rows, columns)))
