import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.datasets import READERS, cdd_cesm, mini_mias, rsna_640
from model_export.datasets.sample import Sample
from model_export.datasets.tables import DatasetError, read_rows
from model_export.phantom import breast_phantom
from tests.model_export.samples import write_cdd_cesm, write_mini_mias, write_rsna_640

pytestmark = pytest.mark.integration

INFO = """
    NOTES

1) The list is arranged in pairs of films, where each pair represents one patient.

mdb001 G CIRC B 535 425 197
mdb003 D NORM 
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26
mdb216 D CALC M *NOTE 3*
"""


def test_cdd_cesm_gives_outlines_and_inferred_spacing(tmp_path: Path) -> None:
    write_cdd_cesm(tmp_path)
    (sample,) = cdd_cesm.read(tmp_path)  # the one without an outline is left out
    assert (sample.patient, sample.laterality, sample.view_position) == ("P0", "L", "MLO")
    assert sample.pixel_spacing_mm == (0.4, 0.4)
    assert sample.pixels.dtype == np.uint16
    assert sample.lesion is not None
    rows, columns = np.nonzero(sample.lesion)
    assert (rows.mean(), columns.mean()) == pytest.approx((92, 56), abs=0.5)


@pytest.mark.parametrize(("written", "density"), [("B", "B"), ("_", None)])
def test_an_underscore_in_cdd_cesm_is_no_density(
    tmp_path: Path, written: str, density: str | None
) -> None:
    write_cdd_cesm(tmp_path)
    table = tmp_path / "manifest.csv"
    table.write_text(table.read_text().replace(",MLO,B,", f",MLO,{written},"))
    (sample,) = cdd_cesm.read(tmp_path)
    assert sample.density == density


@pytest.mark.parametrize(
    ("scale", "message"), [("0", "scale of P0_L_DM_MLO is not above 0"), ("nan", "not a number")]
)
def test_a_scale_of_cdd_cesm_that_is_none_is_named(
    tmp_path: Path, scale: str, message: str
) -> None:
    write_cdd_cesm(tmp_path)
    table = tmp_path / "manifest.csv"
    table.write_text(table.read_text().replace(",1,0.25", f",1,{scale}"))
    with pytest.raises(DatasetError, match=message):
        list(cdd_cesm.read(tmp_path))


def test_mini_mias_joins_the_findings_of_an_image(tmp_path: Path) -> None:
    write_mini_mias(tmp_path)
    samples = {sample.name: sample for sample in mini_mias.read(tmp_path)}
    assert [one.annotation for one in samples.values()] == [
        "normal",
        "circle",
        "circle",
        "pixel_mask",
        "image_label",
    ]
    assert [one.has_lesion for one in samples.values()] == [False, True, True, True, True]
    two = samples["mdb003"].lesion
    assert two is not None
    assert two[90, 60] and two[150, 90] and not two[90, 90]
    assert two.sum() == pytest.approx(np.pi * (12**2 + 20**2), rel=0.05)
    assert samples["mdb005"].lesion is None
    assert samples["mdb001"].patient == samples["mdb002"].patient
    assert (samples["mdb001"].laterality, samples["mdb002"].laterality) == ("R", "L")


def test_rsna_is_turned_upright_and_empty_frames_are_left_out(tmp_path: Path) -> None:
    write_rsna_640(tmp_path)
    upright, inverted = rsna_640.read(tmp_path)
    assert (upright.has_lesion, inverted.has_lesion) == (True, False)
    assert upright.pixels.shape == (640, 512)
    assert upright.lesion is None
    difference = np.abs(upright.pixels.astype(int) - inverted.pixels.astype(int))
    assert np.percentile(difference, 99) < 0.03 * 65535


def test_a_lesion_must_fit_the_label() -> None:
    pixels = breast_phantom(32).astype(np.uint16)
    with pytest.raises(ValueError, match="empty exactly"):
        Sample("x", "a", "1", pixels, (1, 1), True, "normal", np.zeros((32, 32), np.bool_))


def test_the_original_mini_mias_counts_rows_from_the_bottom(tmp_path: Path) -> None:
    (tmp_path / "Info.txt").write_text(INFO)
    for name in ("mdb001", "mdb003", "mdb005", "mdb216"):
        cv2.imwrite(str(tmp_path / f"{name}.pgm"), breast_phantom(1024))
    one, three, five, last = mini_mias.read(tmp_path)
    assert [sample.annotation for sample in (one, three, five, last)] == [
        "circle",
        "normal",
        "circle",
        "image_label",
    ]
    assert [sample.patient for sample in (one, three, five, last)] == ["0", "1", "2", "107"]
    assert one.lesion is not None and one.lesion[1024 - 425, 535]
    assert five.lesion is not None and five.lesion[891, 477] and five.lesion[856, 500]
    assert not five.lesion[133, 477]
    (tmp_path / "Info.txt").write_text(INFO + "mdb999 X CIRC\n")
    with pytest.raises(DatasetError, match=r"Info\.txt: not a row of the table: 'mdb999 X CIRC'"):
        list(mini_mias.read(tmp_path))


@pytest.mark.parametrize(
    ("source", "write", "table", "image"),
    [
        ("cdd-cesm", write_cdd_cesm, "manifest.csv", "masks/P0_L_DM_MLO.png"),
        ("mini-mias", write_mini_mias, "findings.csv", "images/mdb002.png"),
        ("rsna-640", write_rsna_640, "labels.csv", "images/2_1.jpg"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, source: str, write: Callable[[Path], None], table: str, image: str
) -> None:
    folder = tmp_path / source
    write(folder)
    (folder / image).unlink()
    with pytest.raises(DatasetError, match=f"^{image} is missing"):
        list(READERS[source](folder))
    header, *rows = (folder / table).read_text().splitlines()
    (folder / table).write_text("\n".join([header.replace("patient", "person"), *rows]))
    with pytest.raises(DatasetError, match=f"^{table} has no column 'patient'"):
        list(READERS[source](folder))
    (folder / table).unlink()
    with pytest.raises(DatasetError, match=f"^{table} is missing in {source}/"):
        list(READERS[source](folder))


def test_a_label_that_is_no_label_is_refused(tmp_path: Path) -> None:
    write_rsna_640(tmp_path)
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("2_1,2,0", "2_1,2,"))
    with pytest.raises(DatasetError, match="cancer of 2_1 is '', not 1 or 0"):
        list(rsna_640.read(tmp_path))


def test_cells_lose_their_line_breaks_and_short_rows_are_filled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('\ufeffa;b ;c\n"1\n";2;3\n4\n', encoding="utf-8")
    rows = read_rows(tmp_path, "t.csv", ("a", "b"), delimiter=";")
    assert rows == [{"a": "1", "b": "2", "c": "3"}, {"a": "4", "b": "", "c": ""}]


def test_the_real_sets_are_read_whole(shared_data: Path) -> None:
    assert sum(1 for _ in cdd_cesm.read(shared_data / "cdd-cesm")) == 259
    films = list(mini_mias.read(shared_data / "mini-mias"))
    assert len(films) == 194
    assert sum(film.has_lesion for film in films) == 68


@pytest.mark.long
def test_both_layouts_of_the_real_mini_mias_say_the_same(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "mini-mias"
    with (folder / "findings.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["id"] < "mdb025"]
    lines = []
    for row in rows:
        place = f"{row['x']} {1024 - int(row['y_from_top'])} {row['radius']}" if row["x"] else ""
        lines.append(
            f"{row['id']} {row['tissue']} {row['abnormality']} {row['severity']} {place}\n"
        )
        pixels = cv2.imread(str(folder / "images" / f"{row['id']}.png"), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(tmp_path / f"{row['id']}.pgm"), pixels)
    (tmp_path / "Info.txt").write_text("".join(lines))
    here = {sample.name: sample for sample in mini_mias.read(folder)}
    for sample in mini_mias.read(tmp_path):
        other = here[sample.name]
        np.testing.assert_array_equal(sample.pixels, other.pixels)
        assert (sample.patient, sample.has_lesion) == (other.patient, other.has_lesion)
        assert (sample.density, sample.laterality) == (other.density, other.laterality)
        if other.annotation in ("circle", "normal"):
            assert sample.lesion is not None and other.lesion is not None
            np.testing.assert_array_equal(sample.lesion, other.lesion)
