"""The sample: a view as the service reads it, and as a net of another framework is shown it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.adopt.errors import AdoptError
from model_export.adopt.foreign import View
from service.errors import MammosegError
from service.imaging.breast import Box, find_breast
from service.imaging.mammogram import Mammogram
from service.imaging.pixel_size import spacing_or_assumed
from service.imaging.reader import ReadLimits
from service.imaging.resample import resize
from service.reading.reader import InProcess, ReadRequest

ASSUMED_LONG_SIDE_MM = 240.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The sample, read.

    Attributes
    ----------
    mammogram
        As the service has it, of known spacing.
    spacing_mm
        Millimetres between (row, column) centres, known or assumed.
    """

    mammogram: Mammogram
    spacing_mm: tuple[float, float]

    @classmethod
    def read(cls, path: Path) -> "Sample":
        """Read a DICOM, PNG, JPEG or TIFF file.

        Raises
        ------
        AdoptError
            It is none that the service reads.
        """
        try:
            body = path.read_bytes()
            mammogram = InProcess(ReadLimits()).read(ReadRequest(body, None, None, None))
        except (OSError, MammosegError) as error:
            raise AdoptError(f"the sample {path.name} cannot be read: {error}") from error
        spacing_mm, _ = spacing_or_assumed(mammogram, ASSUMED_LONG_SIDE_MM)
        return cls(mammogram, spacing_mm)

    def view(self, spacing_mm: float) -> View:
        """Return the whole frame at a spacing, resampled as the service does."""
        rows, columns = self.mammogram.pixels.shape
        shape = (
            max(1, round(rows * self.spacing_mm[0] / spacing_mm)),
            max(1, round(columns * self.spacing_mm[1] / spacing_mm)),
        )
        return View(resize(self.mammogram.pixels, shape), spacing_mm)


def breast_of(view: View) -> NDArray[np.bool_]:
    """Return where the breast is in a view: bool, its shape."""
    rows, columns = view.pixels.shape
    whole = replace(find_breast(view.pixels), box=Box(0, 0, rows, columns))
    return whole.on_grid((rows, columns), (rows, columns))
