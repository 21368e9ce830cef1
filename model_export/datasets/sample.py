"""One type for every data set: an image, what is known of its lesions, and whose it is."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.datasets.splits import Part, Split, split_of
from model_export.seen_images import digest_of_image
from service.imaging.mammogram import Intent, Laterality, Mammogram

Annotation = Literal["pixel_mask", "pseudo_outline", "circle", "box", "normal", "image_label"]
"""How the lesions are known: outlines drawn by people, outlines drawn by a net that was given a
box, circles, boxes, the statement that there are none, or only a yes or no for the whole image."""


class LesionBox(NamedTuple):
    """A box around one lesion, in pixels from the image's top left corner; x is along columns."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated mammogram.

    Attributes
    ----------
    source, name, patient
        The data set, the image's name in it, and the patient's identifier in it; a patient is
        unique only together with its source.
    pixels
        uint16, shape (rows, columns), larger is brighter.
    pixel_spacing_mm
        Millimetres between (row, column) centres, as stated or inferred by the reader.
    density
        The source's own grade of the tissue; grades of two sources cannot be compared.
    manufacturer
        Of the device, in the source's own words.
    has_lesion
        Whether an annotated or suspicious lesion, benign or malignant, is in the image.
    annotation
        How that is known.
    lesion
        bool, the shape of `pixels`; all false for a normal. None where nobody drew it.
    boxes
        Around the lesions, where the source gives boxes.
    part
        The patient's side in the data set's own split, where it has one.
    pathology
        In the source's own words.
    patient_is_known
        False where nothing says whose the image is: it then counts as a patient of its own.
    """

    source: str
    name: str
    patient: str
    pixels: NDArray[np.uint16]
    pixel_spacing_mm: tuple[float, float]
    has_lesion: bool
    annotation: Annotation
    lesion: NDArray[np.bool_] | None = None
    intent: Intent = "unstated"
    laterality: Laterality | None = None
    view_position: str | None = None
    density: str | None = None
    manufacturer: str | None = None
    boxes: tuple[LesionBox, ...] = ()
    part: Part | None = None
    pathology: str | None = None
    patient_is_known: bool = True

    def __post_init__(self) -> None:
        if self.lesion is not None and self.lesion.shape != self.pixels.shape:
            raise ValueError("lesion must have the shape of pixels")
        if self.lesion is not None and bool(self.lesion.any()) != self.has_lesion:
            raise ValueError("lesion must be empty exactly where has_lesion is false")

    @property
    def split(self) -> Split:
        """Which side of the split the patient is on."""
        return split_of(self.source, self.patient, self.part)

    @property
    def digest(self) -> bytes:
        """What identifies the image, whatever it is called and whoever it is said to be of."""
        return digest_of_image(self.pixels)

    def to_mammogram(self) -> Mammogram:
        """Return the image as the service's stages take it."""
        return Mammogram(
            pixels=self.pixels,
            pixel_spacing_mm=self.pixel_spacing_mm,
            intent=self.intent,
            laterality=self.laterality,
            view_position=self.view_position,
        )
