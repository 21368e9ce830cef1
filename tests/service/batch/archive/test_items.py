import os
from pathlib import Path

import pytest

from service.batch.archive.items import FileItem, InstanceItem
from service.batch.fingerprint import HEAD_BYTES
from service.dicomweb.archive import InstanceUids

pytestmark = pytest.mark.unit


HEAD = bytes(HEAD_BYTES)
PREAMBLE = bytes(128) + b"DICM"
SYNTAX = b"\2\0\x10\0UI"
META = PREAMBLE + SYNTAX + b"\x14\x001.2.840.10008.1.2.1\0"
CLASS, PIXELS = b"\x08\0\x16\0UI\2\0" + b"1\0", b"\xe0\x7f\x10\0OW\0\0" + b"\4\0\1\0"
NAMED = META + CLASS + b"\x08\0\x18\0UI\4\0" + b"1.2\0" + PIXELS
EMPTY = META + CLASS + b"\x08\0\x18\0UI\0\0" + PIXELS
NAMELESS = META + CLASS + PIXELS
IMPLICIT = b"\x08\0\x16\0\2\0\0\0" + b"1\0" + b"\x08\0\x18\0\4\0\0\0" + b"1.2\0"
DEFLATED_META = PREAMBLE + SYNTAX + b"\x16\x001.2.840.10008.1.2.1.99" + NAMED[len(META) :]
OTHERS = (b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"h", b"\x1f\x8b")


def version(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    os.utime(path, (315532800, 315532800))
    return FileItem(path).version()


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (b"anna", b"bert", False),
        # Of a DICOM file, the head says whose it is.
        (NAMED + HEAD + b"anna", NAMED + HEAD + b"bert", True),
        (IMPLICIT + HEAD + b"anna", IMPLICIT + HEAD + b"bert", True),
        # Not of each.
        (NAMELESS + HEAD + b"anna", NAMELESS + HEAD + b"bert", False),
        (EMPTY + HEAD + b"anna", EMPTY + HEAD + b"bert", False),
        (DEFLATED_META + HEAD + b"anna", DEFLATED_META + HEAD + b"bert", False),
        # A film may begin with black rows alone, however it is written.
        *((start + HEAD + b"a", start + HEAD + b"b", False) for start in OTHERS),
    ],
)
def test_files_of_one_size_and_time_are_told_apart_by_their_heads(
    tmp_path: Path, first: bytes, second: bytes, is_same: bool
) -> None:
    path = tmp_path / "IM1"
    assert version(path, first) == version(path, first)
    assert (version(path, first) == version(path, second)) == is_same


def test_a_file_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert FileItem(tmp_path / "gone").version() == ""


def test_an_instance_of_a_server_is_what_its_uids_name() -> None:
    item = InstanceItem("1.2", InstanceUids("1.2.3", "1.2.3.4"))
    assert item.version() == "instance" and item.location == b"1.2/1.2.3/1.2.3.4"
