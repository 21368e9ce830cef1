import errno
from pathlib import Path

import pytest

from service.batch.results import BadName, NotWritten, file_names, options_for, write_file
from service.segmenter import SegmentOptions

pytestmark = pytest.mark.unit


def test_the_files_of_an_image_are_named_by_it() -> None:
    assert file_names("study/a", ("json", "png", "seg", "csv")) == (
        "study/a.json",
        "study/a-mask.png",
        "study/a-overlay.png",
        "study/a-seg.dcm",
    )


@pytest.mark.parametrize(
    ("formats", "side", "objects"),
    [(("json", "csv"), 0, False), (("png",), 1024, False), (("seg",), 0, True)],
)
def test_no_more_is_asked_of_the_findings_than_the_results_need(
    formats: tuple[str, ...], side: int, objects: bool
) -> None:
    chosen = SegmentOptions((0.1, 0.1), False, 2)
    options = options_for(formats, chosen)
    assert (options.picture_side, options.objects) == (side, objects)
    assert options.judged == chosen.judged


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
