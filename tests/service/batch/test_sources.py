import os
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from service.batch.dicomdir import MEDIA_STORAGE_DIRECTORY
from service.batch.sources import Found, find

pytestmark = pytest.mark.unit

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
DICOM = bytes(128) + b"DICM" + bytes(20)


def put(path: Path, content: bytes = DICOM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_dicomdir(
    path: Path, *files: tuple[str, ...], inactive: tuple[tuple[str, ...], ...] = ()
) -> Path:
    records = []
    for components in (("",), *files):
        record = Dataset()
        record.DirectoryRecordType = "IMAGE" if components != ("",) else "PATIENT"
        if components != ("",):
            record.ReferencedFileID = list(components)
        record.RecordInUseFlag = 0 if components in inactive else 0xFFFF
        records.append(record)
    return write_records(path, records)


def write_records(path: Path, records: list[Dataset]) -> Path:
    directory = Dataset()
    directory.DirectoryRecordSequence = Sequence(records)
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = UID(MEDIA_STORAGE_DIRECTORY)
    directory.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, directory, enforce_file_format=True)
    return path


def write_tree(path: Path, inactive: str) -> Path:
    """Write a DICOMDIR of two patients, as a hierarchy; the first record of one type is off."""
    types = ("PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE")
    records = []
    for patient in (1, 2):
        for number, kind in enumerate(types, 1):
            record = Dataset()
            record.OffsetOfTheNextDirectoryRecord = 0
            is_off = patient == 1 and number == types.index(kind) + 1 and kind == inactive
            record.RecordInUseFlag = 0 if is_off else 0xFFFF
            record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
            record.DirectoryRecordType = kind
            if kind == "IMAGE":
                record.ReferencedFileID = [f"PATIENT{patient}", f"IM{number}"]
                put(path.parent / f"PATIENT{patient}" / f"IM{number}")
            records.append(record)
    write_records(path, records)
    at = [item.seq_item_tell for item in dcmread(path).DirectoryRecordSequence]
    for first in (0, 5):
        for index in range(first, first + 3):
            records[index].OffsetOfReferencedLowerLevelDirectoryEntity = at[index + 1]
        records[first + 3].OffsetOfTheNextDirectoryRecord = at[first + 4]
    records[0].OffsetOfTheNextDirectoryRecord = at[5]
    # Broken, as by a careless writer: round in a ring.
    records[4].OffsetOfTheNextDirectoryRecord = at[3]
    return write_records(path, records)


def names(found: Found) -> list[str]:
    return [source.name for source in found.sources]


def test_a_folder_gives_its_images_in_order_and_those_of_folders_in_it(tmp_path: Path) -> None:
    for name in ("study/b.dcm", "study/a.dcm", "study/left/1.2.840.7", "study/c.PNG"):
        put(tmp_path / name, PNG if name.endswith("PNG") else DICOM)
    put(tmp_path / "study/report.pdf", b"%PDF-1.7")
    put(tmp_path / "study/.hidden.dcm")
    put(tmp_path / "study/DICOMDIR")
    found = find([str(tmp_path / "study")], tmp_path / "out")
    assert names(found) == ["study/a", "study/b", "study/c", "study/left/1.2.840.7"]
    assert (found.others, found.faults) == (1, [])
    assert not any(source.is_named for source in found.sources)


def test_a_file_that_is_named_is_taken_whatever_it_is(tmp_path: Path) -> None:
    file = put(tmp_path / "notes.txt", b"no image")
    found = find([str(file)], tmp_path / "out")
    assert [(source.name, source.is_named) for source in found.sources] == [("notes.txt", True)]


def test_patterns_are_expanded_also_into_folders(tmp_path: Path) -> None:
    for name in ("x/a.dcm", "x/y/b.dcm", "x/y/c.png"):
        put(tmp_path / name)
    found = find([str(tmp_path / "**" / "*.dcm")], tmp_path / "out")
    assert names(found) == ["a", "b"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    file = put(tmp_path / "[1].dcm")
    assert names(find([str(file)], tmp_path)) == ["[1]"]


@pytest.mark.parametrize(
    ("argument", "said"), [("*.dcm", "no file matches"), ("absent.dcm", "no such file or folder")]
)
def test_what_is_not_there_is_said(tmp_path: Path, argument: str, said: str) -> None:
    found = find([str(tmp_path / argument)], tmp_path / "out")
    assert found.sources == []
    assert said in found.faults[0]


def test_results_of_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [put(tmp_path / name) for name in ("x/a.dcm", "y/a.dcm", "y/a.png", "y/b.dcm")]
    found = find([str(path) for path in paths], tmp_path / "out")
    assert names(found) == ["x/a.dcm", "y/a.dcm", "y/a.png", "b"]


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    paths = [put(tmp_path / name) for name in ("x/A.dcm", "y/a.dcm")]
    assert names(find(list(map(str, paths)), tmp_path / "out")) == ["x/A.dcm", "y/a.dcm"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    file = put(tmp_path / "study/a.dcm")
    found = find([str(file.parent), str(file), str(file)], tmp_path / "out")
    assert [source.path for source in found.sources] == [file]
    assert found.sources[0].is_named


def test_the_results_are_not_looked_for_in(tmp_path: Path) -> None:
    put(tmp_path / "study/a.dcm")
    put(tmp_path / "study/findings/a-overlay.png", PNG)
    found = find([str(tmp_path / "study")], tmp_path / "study" / "findings")
    assert names(found) == ["study/a"]


def test_a_link_that_leads_back_up_is_followed_once(tmp_path: Path) -> None:
    put(tmp_path / "study/a.dcm")
    (tmp_path / "study/loop").symlink_to(tmp_path / "study")
    assert names(find([str(tmp_path / "study")], tmp_path / "out")) == ["study/a"]


def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path) -> None:
    put(tmp_path / "study/a.dcm")
    os.mkfifo(tmp_path / "study/pipe")
    found = find([str(tmp_path / "study")], tmp_path / "out")
    assert (names(found), found.others) == (["study/a"], 1)


def test_a_dicomdir_gives_the_images_it_names_in_its_order(tmp_path: Path) -> None:
    put(tmp_path / "disc/IMAGES/IM2")
    put(tmp_path / "disc/IMAGES/IM1")
    put(tmp_path / "disc/IMAGES/OTHER")
    file = write_dicomdir(tmp_path / "disc/DICOMDIR", ("IMAGES", "IM2"), ("IMAGES", "IM1"))
    found = find([str(file)], tmp_path / "out")
    assert names(found) == ["disc/IMAGES/IM2", "disc/IMAGES/IM1"]
    assert found.faults == []


def test_a_dicomdir_of_another_name_is_known_by_its_class(tmp_path: Path) -> None:
    put(tmp_path / "disc/IM1")
    file = write_dicomdir(tmp_path / "disc/directory.dcm", ("IM1",))
    assert names(find([str(file)], tmp_path / "out")) == ["disc/IM1"]


def test_a_disc_that_is_mounted_in_small_letters_is_read(tmp_path: Path) -> None:
    put(tmp_path / "disc/images/im1;1")
    file = write_dicomdir(tmp_path / "disc/dicomdir", ("IMAGES", "IM1"))
    assert names(find([str(file)], tmp_path / "out")) == ["disc/images/im1;1"]


def test_a_disc_with_the_names_of_iso_9660_is_read(tmp_path: Path) -> None:
    put(tmp_path / "disc/IMAGES/IM000001.;1")
    file = write_dicomdir(tmp_path / "disc/DICOMDIR.;1", ("IMAGES", "IM000001"))
    found = find([str(file)], tmp_path / "out")
    assert [source.path.name for source in found.sources] == ["IM000001.;1"]
    assert found.faults == []


@pytest.mark.parametrize("is_there", [True, False])
def test_an_image_whose_record_is_inactive_is_neither_taken_nor_missed(
    tmp_path: Path, is_there: bool
) -> None:
    put(tmp_path / "disc/IM1")
    if is_there:
        put(tmp_path / "disc/IM2")
    file = write_dicomdir(tmp_path / "disc/DICOMDIR", ("IM1",), ("IM2",), inactive=(("IM2",),))
    found = find([str(file)], tmp_path / "out")
    assert (names(found), found.faults) == (["disc/IM1"], [])


@pytest.mark.parametrize(
    ("inactive", "left"),
    [("none", 2), ("PATIENT", 0), ("STUDY", 0), ("SERIES", 0), ("IMAGE", 1)],
)
def test_an_image_below_an_inactive_record_is_off_the_disc_too(
    tmp_path: Path, inactive: str, left: int
) -> None:
    file = write_tree(tmp_path / "disc/DICOMDIR", inactive)
    found = find([str(file)], tmp_path / "out")
    of_patient = [name.split("/")[1] for name in names(found)]
    assert of_patient.count("PATIENT1") == left
    assert of_patient.count("PATIENT2") == 2
    assert found.faults == []


@pytest.mark.parametrize("components", [("..", "secret"), ("LINK", "secret"), ("/etc", "passwd")])
def test_a_dicomdir_names_no_file_outside_of_its_folder(
    tmp_path: Path, components: tuple[str, ...]
) -> None:
    put(tmp_path / "secret")
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc/LINK").symlink_to(tmp_path)
    file = write_dicomdir(tmp_path / "disc/DICOMDIR", components)
    found = find([str(file)], tmp_path / "out")
    assert found.sources == []
    assert "which is not there" in found.faults[0]


@pytest.mark.long
def test_a_dicomdir_of_thousands_of_images_is_read_whole(tmp_path: Path) -> None:
    files = [("IMAGES", f"IM{number:06}") for number in range(8000)]
    file = write_dicomdir(tmp_path / "disc/DICOMDIR", *files)
    assert len(find([str(file)], tmp_path / "out").faults) == 8000


def test_a_dicomdir_that_is_none_is_said(tmp_path: Path) -> None:
    file = put(tmp_path / "DICOMDIR", b"rubbish")
    found = find([str(file)], tmp_path / "out")
    assert "not a DICOM file" in found.faults[0]
