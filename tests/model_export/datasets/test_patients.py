from pathlib import Path
from typing import Any

import cv2
import pytest

from model_export.datasets import DatasetError, read_source
from model_export.datasets.images import patient_id
from model_export.phantom import breast_phantom
from tests.dicom_files import dicom_file, phantom

pytestmark = pytest.mark.unit


def write(data: Path, identifiers: dict[str, str | None], *pictures: str, table: str = "") -> None:
    """Write `own`: DICOM files with these identifiers, and pictures; all are normal."""
    images = data / "own" / "images"
    images.mkdir(parents=True)
    for name, identifier in identifiers.items():
        said: dict[str, Any] = {} if identifier is None else {"PatientID": identifier}
        film = dicom_file(phantom(rows=64, columns=48), PixelSpacing=[0.3, 0.3], **said)
        (images / f"{name}.dcm").write_bytes(film)
    for name in pictures:
        cv2.imwrite(str(images / f"{name}.png"), breast_phantom(64))
    rows = table or "name,has_lesion\n" + "".join(f"{one},0\n" for one in [*identifiers, *pictures])
    (data / "own" / "table.csv").write_text(rows)


def owners(data: Path) -> dict[str, tuple[str, bool]]:
    return {one.name: (one.patient, one.patient_is_known) for one in read_source(data, "own")}


def test_images_of_one_patient_id_are_of_one_patient_whose_id_is_not_written(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"a": "MRN-1234", "b": "MRN-1234", "c": "MRN-5678", "d": None}, "e")
    found = owners(tmp_path)
    assert found["a"] == found["b"] != found["c"]
    assert found["a"][1] and found["c"][1]
    assert not any("MRN" in patient for patient, _ in found.values())
    assert (found["d"], found["e"]) == (("d", False), ("e", False))


@pytest.mark.parametrize("form", ["plain", "no preamble", "deflated", "broken"])
def test_a_patient_id_is_read_of_every_form_of_file(form: str, tmp_path: Path) -> None:
    syntax = "1.2.840.10008.1.2.1.99" if form == "deflated" else "1.2.840.10008.1.2.1"
    body = dicom_file(phantom(rows=64, columns=48), PatientID="MRN-1", syntax=syntax)
    body = {"no preamble": body[132:], "broken": body[:140]}.get(form, body)
    (tmp_path / "a.dcm").write_bytes(body)
    assert patient_id(tmp_path, "a.dcm") == (None if form == "broken" else "MRN-1")


def test_the_table_wins_over_the_header(tmp_path: Path) -> None:
    table = "name,patient,has_lesion\na,P1,0\nb,,0\n"
    write(tmp_path, {"a": "X", "b": "X"}, table=table)
    found = owners(tmp_path)
    assert found["a"] == ("P1", True)
    assert found["b"][0].startswith("id-")


def test_one_identifier_of_all_files_is_an_anonymiser_s(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys("abc", "ANON"))
    assert owners(tmp_path) == {name: (name, False) for name in "abc"}


def test_identifiers_of_which_no_image_shares_one_are_of_images_for_all_that_is_known(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"a": "7f3a", "b": "91c0", "c": "e2d4"})
    found = owners(tmp_path)
    assert not any(is_known for _, is_known in found.values())
    # An image that comes later and shares one moves nobody to another side of the split.
    write(tmp_path / "grown", {"a": "7f3a", "b": "91c0", "c": "e2d4", "d": "7f3a"})
    grown = owners(tmp_path / "grown")
    assert {name: grown[name] for name in found} == {
        name: (patient, True) for name, (patient, _) in found.items()
    }


def test_the_patient_is_read_in_the_identifiers_of_cbis_ddsm(tmp_path: Path) -> None:
    identifiers = {
        "a": "Mass-Test_P_00173_LEFT_CC",
        "b": "Calc-Training_P_00173_RIGHT_MLO",
        "c": "Mass-Test_P_00173_LEFT_CC_1",
        "d": "Mass-Training_P_00174_LEFT_CC",
    }
    write(tmp_path, dict(identifiers))
    found = owners(tmp_path)
    assert found["a"] == found["b"] == found["c"] != found["d"]
    assert all(is_known for _, is_known in found.values())


@pytest.mark.parametrize(
    "of_an_image", ["c", "C", "P-17_LEFT_CC", "17-RMLO", "l cc", "17 left-lm 2", "17_MLO_L"]
)
def test_an_identifier_that_is_the_image_s_own_says_nothing(
    tmp_path: Path, of_an_image: str
) -> None:
    write(tmp_path, {"a": "X", "b": "X", "c": of_an_image, "d": "ACCRL-1", "e": "CC-17"})
    found = owners(tmp_path)
    assert [found[name][1] for name in "abcde"] == [True, True, False, True, True]


def test_a_patient_in_two_parts_is_refused_though_only_headers_say_whose(tmp_path: Path) -> None:
    table = "name,part,has_lesion\na,train,0\nb,test,0\nc,test,0\n"
    write(tmp_path, {"a": "X", "b": "X", "c": "Y"}, table=table)
    with pytest.raises(DatasetError, match=r"are in the parts test and train \(a and b\)"):
        owners(tmp_path)


def test_a_source_that_is_a_link_has_the_name_that_it_was_asked_for_by(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {}, "a")
    (tmp_path / "mine").symlink_to(tmp_path / "elsewhere" / "own")
    assert [one.source for one in read_source(tmp_path, "mine")] == ["mine"]
