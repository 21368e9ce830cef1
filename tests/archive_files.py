"""Archives of small mammograms, written fast: one file, again and again, under new UIDs.

`python -m tests.archive_files FOLDER COUNT` writes one to measure with: COUNT images of 300 x 240
pixels, four to a study, each study a folder.
"""

import sys
from pathlib import Path

import numpy as np

from tests.dicom_files import phantom, write
from tests.mammogram_headers import ROOT, full_header

PER_STUDY = 4

_STUDY, _SERIES, _INSTANCE = f"{ROOT}.7.1000000", f"{ROOT}.8.1000000", f"{ROOT}.9.1000000"
"""Replaced by others of the same length."""


def instance_uid(number: int) -> str:
    """Return the SOP Instance UID of an image of such an archive."""
    return f"{ROOT}.9.{1_000_001 + number}"


def small_mammogram(shape: tuple[int, int] = (300, 240), level: int = 0) -> bytes:
    """Return a file that `numbered` gives UIDs to; with another `level`, its pixels are others."""
    header = full_header(
        shape,
        StudyInstanceUID=_STUDY,
        SeriesInstanceUID=_SERIES,
        SOPInstanceUID=_INSTANCE,
        ImagerPixelSpacing=[0.8, 0.8],
    )
    pixels = np.clip(phantom(12, rows=shape[0], columns=shape[1]) + level, 0, 4095)
    header.add_new("PixelData", "OW", pixels.astype("<u2").tobytes())
    return write(header)


def numbered(file: bytes, number: int) -> bytes:
    """Return a file with the UIDs of an image of an archive, four images to a study."""
    study = 1_000_001 + number // PER_STUDY
    file = file.replace(_INSTANCE.encode(), instance_uid(number).encode())
    file = file.replace(_STUDY.encode(), f"{ROOT}.7.{study}".encode())
    return file.replace(_SERIES.encode(), f"{ROOT}.8.{study}".encode())


def path_of(folder: Path, number: int) -> Path:
    """Return where an image of an archive lies."""
    return folder / f"study-{number // PER_STUDY:06}" / f"{number:07}.dcm"


def write_archive(folder: Path, count: int, shape: tuple[int, int] = (300, 240)) -> Path:
    """Write an archive of some images; return its folder."""
    file = small_mammogram(shape)
    for number in range(count):
        path = path_of(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(numbered(file, number))
    return folder


if __name__ == "__main__":
    write_archive(Path(sys.argv[1]), int(sys.argv[2]))
