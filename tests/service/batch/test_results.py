import errno
from pathlib import Path

import pytest

from service.batch.results import BadName, NotWritten, file_names, write_file

pytestmark = pytest.mark.unit


def test_the_files_of_an_image_are_named_by_it() -> None:
    assert file_names("study/a", ("json", "png", "seg", "csv")) == (
        "study/a.json",
        "study/a-mask.png",
        "study/a-overlay.png",
        "study/a-seg.dcm",
    )


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "study" / "a.json", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(NotWritten, match="study cannot be written: No space left on device"):
        write_file(tmp_path / "study" / "a.json", b"new")
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["a.json"]
    assert (tmp_path / "study" / "a.json").read_bytes() == b"old"


def test_a_name_too_long_is_a_fault_of_its_file_alone(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        write_file(tmp_path / ("a" * 300), b"")
