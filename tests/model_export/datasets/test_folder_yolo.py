"""YOLO labels of a plain folder: their lines, and the names of their classes."""

from pathlib import Path

import pytest

from model_export.datasets import folder
from model_export.datasets.tables import DatasetError
from tests.model_export.datasets.outlined import only, yolo

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.1\n", "line 1 has 4 numbers"),
        ("\n0 0.5 0.5 0.1 0.1 0.9\n", "line 2 has six numbers: a net's answer with its confidence"),
        ("0 .1 .1 .2 .2 .3 .3 .4\n", "line 1 has 8 numbers"),
        ("mass 0.5 0.5 0.1 0.1\n", "line 1: 'mass' is not a number"),
        ("-1 0.5 0.5 0.1 0.1\n", "line 1: the class is -1, not 0, 1, 2"),
        ("0.5 0.5 0.5 0.1 0.1\n", "line 1: the class is 0.5, not 0, 1, 2"),
        ("0 64 64 10 10\n", "line 1 reaches .* pixels out of its image"),
        ("\xff\xfe", "is not a readable text file"),
    ],
)
def test_a_yolo_line_that_is_none_is_named(tmp_path: Path, text: str, message: str) -> None:
    root = yolo(tmp_path, "")
    (root / "labels" / "a.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"^labels/a\.txt,? {message}"):
        list(folder.read(root))


@pytest.mark.parametrize(
    ("file", "text", "label"),
    [
        (None, "", "class 1"),
        ("classes.txt", "benign\nmalignant\n", "malignant"),
        ("labels/classes.txt", "benign\nmalignant\n", "malignant"),
        ("data.yaml", "nc: 2\nnames: [benign, malignant]\n", "malignant"),
        ("dataset.yaml", "names:\n  0: benign\n  1: malignant\n", "malignant"),
        ("data.yaml", "nc: 2\n", "class 1"),
    ],
)
def test_yolo_classes_are_named_where_a_file_does(
    tmp_path: Path, file: str | None, text: str, label: str
) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    if file is not None:
        (root / file).write_text(text)
    assert only(root).pathology == label


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("classes.txt", "benign\n", r"labels/a\.txt, line 1: class 1 has no name"),
        ("data.yaml", "names: [", r"data\.yaml is not YAML"),
        ("data.yaml", "names: 2024-99-99", r"data\.yaml is not YAML"),
        ("data.yaml", "[" * 10_000, r"data\.yaml is not YAML"),
        ("data.yaml", "names: 2", r"data\.yaml: 'names' is neither a list nor numbers with names"),
        ("labels/a.TXT", "", r"labels/a\.txt and labels/a\.TXT share a name"),
    ],
)
def test_what_contradicts_the_classes_is_named(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    (root / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        list(folder.read(root))
