"""pydicom's own test files and hostile ones, through a real reader process: none ends it.

The tables say what comes of them, so that a change in what is let in does not pass unseen. What is
read here is no mammogram: every modality is accepted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from service.capacity.plan import MIN_READER_MIB
from service.errors import MammosegError
from service.imaging.reader import ReadLimits
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest

pytestmark = pytest.mark.integration

MODALITIES = frozenset(
    ("CR", "CT", "ECG", "MG", "MR", "NM", "OT", "RTDOSE", "RTPLAN", "RTSTRUCT", "SEG", "SR", "US")
)
PYDICOM = {
    None: {
        "read": 59,
        "422 no-pixel-data": 61,
        "422 modality-not-accepted": 32,
        "422 not-greyscale": 23,
        "422 multi-frame": 7,
        "400 not-dicom": 6,
        "400 pixel-format": 6,
        "400 pixel-data-corrupt": 1,
        "400 pixel-data-truncated": 1,
        "400 truncated": 1,
    },
    1: {
        "read": 59,
        "422 no-pixel-data": 61,
        "422 modality-not-accepted": 32,
        "422 not-greyscale": 27,
        "400 not-dicom": 6,
        "400 pixel-format": 9,
        "400 pixel-data-corrupt": 1,
        "400 pixel-data-truncated": 1,
        "400 truncated": 1,
    },
}
HOSTILE = {
    None: {
        "read": 204,
        "400 truncated": 40,
        "415 transfer-syntax": 16,
        "400 pixel-format": 11,
        "400 pixel-data-corrupt": 11,
        "422 multi-frame": 5,
        "422 not-greyscale": 5,
        "400 not-dicom": 4,
        "400 pixel-data-truncated": 5,
        "422 modality-not-accepted": 4,
        "400 image-size": 2,
        "413 too-many-pixels": 1,
    },
    1: {
        "read": 206,
        "400 truncated": 40,
        "415 transfer-syntax": 16,
        "400 pixel-format": 11,
        "400 pixel-data-corrupt": 11,
        "422 not-greyscale": 5,
        "400 not-dicom": 4,
        "400 pixel-data-truncated": 5,
        "422 modality-not-accepted": 4,
        "413 too-many-frames": 3,
        "400 image-size": 2,
        "413 too-many-pixels": 1,
    },
}


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    limits = ReadLimits(accept_modalities=MODALITIES, memory_bytes=MIN_READER_MIB << 20)
    readers = ReaderPool(
        ReaderOptions(1, limits, memory_mib=MIN_READER_MIB, deadline_s=10)
    ).wait_until_ready()
    yield readers
    readers.close()


def outcomes(readers: ReaderPool, files: list[Path], frame: int | None) -> Counter[str]:
    """Count what comes of the files; the process that reads them must be one and the same."""
    (before,) = process_of(readers)
    counts: Counter[str] = Counter()
    for path in files:
        try:
            readers.read(ReadRequest(path.read_bytes(), "dicom", frame))
            counts["read"] += 1
        except MammosegError as refused:
            counts[f"{refused.status} {refused.code}"] += 1
        assert process_of(readers) == [before], path.name
    return counts


def process_of(readers: ReaderPool) -> list[int]:
    return [reader.process.pid for reader in readers._idle]


@pytest.mark.parametrize("frame", PYDICOM)
def test_pydicoms_own_files(readers: ReaderPool, frame: int | None) -> None:
    folder = Path(pydicom.__file__).parent / "data"
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".json", ".txt", ".md")
    )
    counts = outcomes(readers, files, frame)
    if pydicom.__version__ == "3.0.2":
        assert counts == PYDICOM[frame]


@pytest.mark.parametrize("frame", HOSTILE)
def test_hostile_files(readers: ReaderPool, shared_data: Path, frame: int | None) -> None:
    files = sorted((shared_data / "malformed-dicom").rglob("*.dcm"))
    assert outcomes(readers, files, frame) == HOSTILE[frame]
