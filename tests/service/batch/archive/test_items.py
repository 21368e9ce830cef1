import os
from pathlib import Path

import pytest

from service.batch.archive.items import FileItem, InstanceItem
from service.batch.fingerprint import HEAD_BYTES
from service.dicomweb.archive import InstanceUids

pytestmark = pytest.mark.unit


def version(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    os.utime(path, (315532800, 315532800))
    return FileItem(path).version()


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (b"anna", b"bert", False),
        # Of a DICOM file, the head says whose it is.
        (b"h" * HEAD_BYTES + b"anna", b"h" * HEAD_BYTES + b"bert", True),
        # A film may begin with black rows alone.
        (b"II*\0" + bytes(HEAD_BYTES) + b"a", b"II*\0" + bytes(HEAD_BYTES) + b"b", False),
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
