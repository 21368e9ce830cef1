"""The decoded mammogram, as every stage after the reader sees it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.imaging.source_header import SourceHeader

Intent = Literal["presentation", "processing", "film", "unstated"]
"""What the pixels are for: FOR PRESENTATION, FOR PROCESSING (PS3.3 C.8.11.7.1.1,
Presentation Intent Type), a digitised film (Secondary Capture), or nothing that says so
(PNG, JPEG, TIFF)."""

Laterality = Literal["L", "R"]

PatientOrientation = tuple[str, str]
"""Where rows and columns point, as DICOM says it (PS3.3 C.7.6.1.1.1): ("A", "FR")."""


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something that was assumed or looks odd; answers list these under `warnings`.

    `code` is stable and part of the API; `detail` is a sentence without patient data.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Mammogram:
    """One image, ready to be looked at: a larger value is brighter, which is denser tissue.

    Attributes
    ----------
    pixels
        uint16, C-contiguous, shape (rows, columns), in the source's own pixel grid, after
        Modality LUT, VOI LUT or window, and MONOCHROME1 inversion (PS3.3 C.11.1, C.11.2). Of what
        was read at half its resolution, every second one is a mean of its neighbours.
    pixel_spacing_mm
        Millimetres between (row, column) centres, or None when the image does not say.
    pixel_aspect
        Height of a pixel over its width; matters only where there is no spacing.
    intent
        What the pixels are for.
    laterality, view_position
        "L" or "R"; "CC", "MLO", ...; None when unknown.
    orientation
        Where rows and columns point in the patient; None when unknown.
    sop_instance_uid
        Validated UID of the source instance; None for PNG, JPEG and TIFF.
    transfer_syntax_uid
        Of the source instance; None for PNG, JPEG and TIFF.
    pixel_digest
        SHA-256 of the source's Pixel Data as it came, hex; None for PNG, JPEG and TIFF, and where
        nobody wanted it.
    frame
        Number of the frame or page that was asked for, from 1 on; None for an only one.
    halved
        Read at half its resolution, and brought to the grid of the whole.
    caveats
        What was assumed on the way here.
    header
        What DICOM results say of the source; None for PNG, JPEG and TIFF.
    """

    pixels: NDArray[np.uint16]
    pixel_spacing_mm: tuple[float, float] | None
    pixel_aspect: float = 1.0
    intent: Intent = "unstated"
    laterality: Laterality | None = None
    view_position: str | None = None
    orientation: PatientOrientation | None = None
    sop_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None
    frame: int | None = None
    halved: bool = False
    caveats: tuple[Caveat, ...] = ()
    header: SourceHeader | None = None
    pixel_digest: str | None = None

    @property
    def rows(self) -> int:
        """Height in source pixels."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Width in source pixels."""
        return int(self.pixels.shape[1])

    @property
    def height_over_width(self) -> float:
        """Of a pixel: by the spacing, else by the aspect that the image states."""
        spacing = self.pixel_spacing_mm
        return self.pixel_aspect if spacing is None else spacing[0] / spacing[1]
