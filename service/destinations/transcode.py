"""A result in a syntax that its destination takes: as it was made, or else without compression."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import decompress
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What every result can be written in; the second is DICOM's default, which is always proposed
(PS3.5 10.1)."""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a file is, by its File Meta Information (PS3.10 7.1): all UIDs."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def read_file_meta(file: Path) -> FileMeta:
    """Read it of one of our own results.

    Raises
    ------
    OSError
        The file cannot be read, or is no result any more.
    """
    with _foreign_errors_as_unreadable():
        meta = read_file_meta_info(file)
        return FileMeta(
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
        )


def chosen(native: str, accepted: Collection[str]) -> UID | None:
    """Return in which of the accepted syntaxes a result goes; None where none will do."""
    return next((UID(syntax) for syntax in (native, *PLAIN) if syntax in accepted), None)


def plain(file: Path, native: str) -> Dataset:
    """Return a result as a dataset in Explicit VR Little Endian, its pixels not compressed.

    It stays the same SOP Instance: no value of a pixel changes but by the decoding of what was
    compressed, and what was lossy says so still (PS3.3 C.7.6.1.1.5).

    Raises
    ------
    OSError
        As `read_file_meta`.
    """
    with _foreign_errors_as_unreadable():
        dataset = dcmread(file)
        if UID(native).is_compressed:
            decompress(dataset, generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return dataset


@contextmanager
def _foreign_errors_as_unreadable() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception:
        # pydicom raises whatever its parsers and decoders meet.
        raise OSError("no result any more") from None
