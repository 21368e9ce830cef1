from pathlib import Path

import pytest

from model_export.whole_file import whole_file

pytestmark = pytest.mark.integration


def test_a_file_takes_the_place_of_the_old_one_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_stands_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
