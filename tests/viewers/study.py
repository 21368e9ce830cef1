"""Studies of four real views, each stored another way round, with the service's results of them."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from service.findings import Findings
from service.outputs.dicom.registry import OUTPUTS, dicom_files
from service.segmenter import Segmenter, SegmentOptions
from tests.mammogram_headers import ORIENTATIONS

VIEWS = (("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))
"""Of a patient's four files, as they are sorted."""

TURNS = {
    "as taken": (False, 0),
    "mirrored": (True, 0),
    "upside down": (True, 2),
    "turned by 90": (False, 1),
    "turned by 180": (False, 2),
    "turned by 270": (False, 3),
    "transposed": (True, 3),
    "transversed": (True, 1),
}
"""Every way to store pixels: mirrored or not, then how many quarters clockwise."""

_ROOT = "1.2.826.0.1.3680043.10.1.16"
_OPPOSITE = str.maketrans("APLRHF", "PARLFH")


@dataclass(frozen=True, eq=False)
class View:
    """A mammogram and what the service found in it.

    Attributes
    ----------
    name
        Side and view, such as "LCC".
    turn
        A key of `TURNS`.
    file
        The Part 10 file.
    pixels
        As stored: uint16, shape (rows, columns).
    findings
        As decided, in the pixels as stored.
    results
        Part 10 files, by key of `OUTPUTS`.
    """

    name: str
    turn: str
    file: bytes
    pixels: NDArray[np.uint16]
    findings: Findings
    results: dict[str, bytes]

    def as_taken(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Undo the turn of an array of the stored pixels' shape."""
        mirrored, quarters = TURNS[self.turn]
        back = np.rot90(stored, quarters)
        return np.ascontiguousarray(back[:, ::-1] if mirrored else back)


@dataclass(frozen=True, eq=False)
class Study:
    """Four views of one patient, in the order of `VIEWS`."""

    uid: str
    views: list[View]


def four_views(files: list[Path], turns: list[str], segmenter: Segmenter) -> Study:
    """Make one patient's study of four files.

    Parameters
    ----------
    files
        In the order of `VIEWS`; whose they were is written over.
    turns
        How each is stored, keys of `TURNS`.
    segmenter
        Looks for lesions in what is stored.
    """
    uid = f"{_ROOT}.1.{1 + list(TURNS).index(turns[0])}"
    views = [
        _view(pydicom.dcmread(file), uid, side_and_view, turn, segmenter)
        for file, side_and_view, turn in zip(files, VIEWS, turns, strict=True)
    ]
    return Study(uid, views)


def _view(
    image: pydicom.Dataset, study: str, named: tuple[str, str], turn: str, segmenter: Segmenter
) -> View:
    number = 1 + list(TURNS).index(turn)
    pixels = turned(image.pixel_array, turn)
    image.PatientID = image.PatientName = study
    image.StudyInstanceUID = study
    image.SeriesInstanceUID, image.SOPInstanceUID = f"{study}.{number}", f"{study}.{number}.1"
    image.SeriesNumber, image.SeriesDescription = number, f"{' '.join(named)}, {turn}"
    image.PatientOrientation, image.ViewPosition = directions(ORIENTATIONS[named], turn), named[1]
    # Every second one says how large its pixels are, as digital mammograms do.
    if number % 2 == 0:
        image.ImagerPixelSpacing = [0.05, 0.05]
    image.Rows, image.Columns = pixels.shape
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OW"
    image["PixelData"].is_undefined_length = False
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    sink = BytesIO()
    image.save_as(sink)
    file = sink.getvalue()
    findings = segmenter.segment(file, options=SegmentOptions())
    results = dict(zip(OUTPUTS, dicom_files(list(OUTPUTS), findings), strict=True))
    return View("".join(named), turn, file, pixels, findings, results)


def turned(pixels: NDArray[Any], turn: str) -> NDArray[Any]:
    """Store pixels another way round."""
    mirrored, quarters = TURNS[turn]
    return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirrored else pixels, -quarters))


def directions(taken: list[str], turn: str) -> list[str]:
    """Return Patient Orientation (PS3.3 C.7.6.1.1.1) of what `turned` makes."""
    mirrored, quarters = TURNS[turn]
    row, column = taken
    if mirrored:
        row = row.translate(_OPPOSITE)
    for _ in range(quarters):
        # What pointed up points to the right, and what pointed right points down.
        row, column = column.translate(_OPPOSITE), row
    return [row, column]
