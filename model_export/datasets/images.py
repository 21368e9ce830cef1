"""Reading image files: masks and 8-bit sets as they are, all others as the service reads them."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray

from model_export.datasets.pages import has_several_pages
from model_export.datasets.tables import DatasetError
from service.errors import MammosegError
from service.imaging import elements
from service.imaging.dicom import looks_like_dicom, parse
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits, read_image

ASSUMED_LONG_SIDE_MM = 240.0
"""Of an image that states no spacing, as the model's contract tells the service to assume: the long
side of a standard film and of the common detectors."""


HEAD_BYTES = 1024
"""Of a file, which tell whether it is DICOM."""


def read_grey(folder: Path, name: str) -> NDArray[np.uint8]:
    """Read an image file as grey: uint8, shape (rows, columns).

    Raises
    ------
    DatasetError
        The file is absent, no image, or several.
    """
    check_one_page(folder, name)
    pixels = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DatasetError(f"{name} is missing or not a readable image")
    grey: NDArray[np.uint8] = pixels.astype(np.uint8, copy=False)
    return grey


def check_one_page(folder: Path, name: str) -> None:
    """Refuse a file that holds several images, of which a decoder would read the first alone.

    Raises
    ------
    DatasetError
        It does; the message names it.
    """
    if has_several_pages(folder / name):
        raise DatasetError(
            f"{name} holds several pages, of which the first alone would be read: save one image a "
            "file, and all lesions of a mask in one"
        )


def widen(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Spread uint8 over uint16, same shape: 255 becomes 65535, as for uploads to the service."""
    return pixels.astype(np.uint16) * np.uint16(257)


def read_mammogram(folder: Path, name: str) -> Mammogram:
    """Read a DICOM, PNG, JPEG or TIFF file through the service's own reader.

    Raises
    ------
    DatasetError
        The file is absent, or the service would refuse it.
    """
    try:
        return read_image(_body(folder, name), None, ReadLimits())
    except MammosegError as error:
        raise DatasetError(f"{name}: {error.detail}") from error


def manufacturer(folder: Path, name: str) -> str | None:
    """Return Manufacturer (0008,0070) of a DICOM file; None when it says nothing or is none."""
    return header_text(folder, name, "Manufacturer")


def patient_id(folder: Path, name: str) -> str | None:
    """Return Patient ID (0010,0020) of a DICOM file; None when it says nothing or is none.

    Of a whole set it is asked before any image is read, so pixels are left where they are.
    """
    try:
        with (folder / name).open("rb") as file:
            if not looks_like_dicom(file.read(HEAD_BYTES)):
                return None
            file.seek(0)
            tags = ["PatientID"]
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags, force=True)
        return elements.text(header, "PatientID")
    except Exception:  # Whatever pydicom makes of a header that our own reader mends.
        return header_text(folder, name, "PatientID")


def header_text(folder: Path, name: str, keyword: str) -> str | None:
    """Return a text element of a DICOM file; None when it says nothing, is none or is broken.

    What is broken is named when its pixels are read.
    """
    body = _body(folder, name)
    if not looks_like_dicom(body):
        return None
    try:
        dataset = parse(body, ReadLimits().max_inflated_bytes).dataset
    except MammosegError:
        return None
    return elements.text(dataset, keyword)


def _body(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise DatasetError(f"{name} is missing or cannot be opened") from None
