"""A study on the page: four views in hanging order, moved together, scored and saved."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit
from tests.e2e.page.pixels import area_of, canvas_pixels

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HANGING = ["R CC", "L CC", "R MLO", "L MLO"]


@pytest.fixture(scope="module")
def four(shared: Any, service: Service, cbis_files: list[Path]) -> Iterator[Visit]:
    visit = Visit(shared, service)
    # Given in another order than they hang in.
    visit.open(*cbis_files[4:8])
    visit.page.locator(".pane:not(.empty)").nth(3).wait_for()
    visit.frame()
    yield visit
    visit.page.close()
    assert visit.faults == []


def columns_of(name: str, cbis_files: list[Path]) -> int:
    file = next(file for file in cbis_files if file.name == name)
    return int(pydicom.dcmread(file, stop_before_pixels=True).Columns)


def test_the_views_hang_in_order_with_the_chest_walls_together(
    four: Visit, cbis_files: list[Path]
) -> None:
    page = four.page
    page.locator("#fit").click()
    four.frame()
    assert page.locator(".pane .label").all_inner_texts() == HANGING
    boxes = [page.locator(".pane").nth(index).bounding_box() for index in range(4)]
    assert boxes[0]["x"] < boxes[1]["x"] and boxes[0]["y"] < boxes[2]["y"]
    for index, box in enumerate(boxes):
        area = area_of(page, index)
        name = page.locator(".pane").nth(index).get_attribute("data-drawn")
        if HANGING[index][0] == "R":
            right = area.left + box["width"] / area.scale
            assert right == pytest.approx(columns_of(name, cbis_files), abs=1 / area.scale)
        else:
            assert area.left == pytest.approx(0, abs=1 / area.scale)
        # Tissue is bright on the inner edge and not on the outer one.
        shown = canvas_pixels(page, "image", index)[..., 0].astype(float)
        half = shown.shape[1] // 2
        inner, outer = shown[:, half:].mean(), shown[:, :half].mean()
        assert (inner > 2 * outer) == (HANGING[index][0] == "R")


def test_zoom_and_pan_are_linked_at_one_scale_and_mirrored(four: Visit) -> None:
    page = four.page
    page.locator("#fit").click()
    four.frame()
    before = [area_of(page, index) for index in range(4)]
    first = page.locator(".pane").first
    first.focus()
    for key in ("+", "+", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    four.frame()
    after = [area_of(page, index) for index in range(4)]
    growth = [new.scale / old.scale for old, new in zip(before, after, strict=True)]
    assert growth[0] > 1.4
    # The scale in millimetres is the same, which takes a film's long side for one length here.
    rows = [4688, 4736, 4672, 4680]
    scales = [area.scale * side for area, side in zip(after, rows, strict=True)]
    np.testing.assert_allclose(scales, scales[0], rtol=1e-6)
    # As far from the chest wall on both sides.
    width = first.bounding_box()["width"]
    right_depth = (2592 - (after[0].left + width / 2 / after[0].scale)) / rows[0]
    left_depth = (after[1].left + width / 2 / after[1].scale) / rows[1]
    assert left_depth == pytest.approx(right_depth, abs=2e-3)


def test_unlinked_panes_move_alone(four: Visit) -> None:
    page = four.page
    page.locator("#fit").click()
    page.locator("#link").uncheck()
    before = [area_of(page, index).scale for index in range(4)]
    page.locator(".pane").nth(1).focus()
    page.keyboard.press("+")
    four.frame()
    after = [area_of(page, index).scale for index in range(4)]
    page.locator("#link").check()
    assert [new != old for old, new in zip(before, after, strict=True)] == [
        False, True, False, False,
    ]  # fmt: skip


def test_the_pane_that_is_chosen_is_the_one_whose_findings_are_told(four: Visit) -> None:
    page = four.page
    page.locator(".pane").nth(2).click()
    assert page.locator("#view-name").inner_text().startswith("R MLO")
    page.get_by_role("button", name="L MLO").click()
    four.frame()
    assert page.locator("#view-name").inner_text().startswith("L MLO")
    assert "active" in page.locator(".pane").nth(3).get_attribute("class")


def test_one_image_of_the_study_can_be_seen_alone(four: Visit) -> None:
    page = four.page
    page.locator(".pane").nth(3).dblclick()
    four.frame()
    assert page.locator(".pane:visible").count() == 1
    assert page.locator(".pane:visible .label").inner_text() == "L MLO"
    four.choose("layout", "four")
    page.locator(".pane:not(.empty)").nth(3).wait_for()
    assert page.locator(".pane:visible .label").all_inner_texts() == HANGING


def test_a_special_view_stands_for_none_of_the_four_and_is_shown_alone(
    visit: Visit, cbis_files: list[Path], tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(cbis_files[2])
    dataset.save_as(tmp_path / "2.dcm")
    magnified = pydicom.Dataset()
    magnified.CodeValue, magnified.CodingSchemeDesignator = "399163009", "SCT"
    magnified.CodeMeaning = "Magnification"
    view = pydicom.Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399162004", "SCT", "cc"
    view.ViewModifierCodeSequence = [magnified]
    dataset.ViewCodeSequence = [view]
    dataset.save_as(tmp_path / "1.dcm")
    page = visit.page
    visit.open(tmp_path / "1.dcm", tmp_path / "2.dcm")
    page.locator(".pane[data-drawn='2.dcm']").wait_for()
    assert page.locator(".item-view").all_inner_texts() == ["R CC, special view", "R CC"]
    assert page.locator(".pane:not(.empty) .label").all_inner_texts() == ["R CC"]
    assert page.locator("#view-name").inner_text() == "R CC · 2.dcm"
    page.locator(".pane").first.press("PageDown")
    page.locator(".pane[data-drawn='1.dcm']").wait_for()
    assert page.locator(".pane:visible .label").all_inner_texts() == ["R CC, special view"]


def test_what_is_known_of_a_view_is_kept_to_where_it_hangs(visit: Visit, tmp_path: Path) -> None:
    page, folder = visit.page, tmp_path / "left"
    folder.mkdir()
    views = [("L", "LM"), ("L", "XCCL"), ("L", None), ("L", "CC"), (None, "MLO"), ("R", "CC")]
    for number, (side, view) in enumerate(views):
        (folder / f"{number}.dcm").write_bytes(dicom_file(
            phantom(12), ImagerPixelSpacing=[1, 1], ImageLaterality=side, ViewPosition=view,
            PatientOrientation=None,
        ))  # fmt: skip
    page.locator("#folder").set_input_files(str(folder))
    visit.settle(len(views))
    page.locator(".pane:not(.empty)").nth(3).wait_for()
    visit.frame()
    panes = page.locator(".pane")
    hung = [panes.nth(index).get_attribute("data-drawn") for index in range(4)]
    assert hung == ["5.dcm", "3.dcm", "4.dcm", "2.dcm"]
    # Two studies may hold files of one name.
    assert page.locator(".pane .state").first.inner_text().startswith("left/5.dcm · score ")
    page.get_by_role("button", name="L LM").click()
    page.locator(".pane[data-drawn='0.dcm']").wait_for()
    assert page.locator(".pane:visible .label").all_inner_texts() == ["L LM"]


def test_that_images_are_of_several_patients_is_told_as_it_is(four: Visit) -> None:
    four.page.get_by_role("button", name="Score the study").click()
    told = four.page.locator("#study-result .problem")
    told.wait_for()
    # CBIS-DDSM gives each image of a woman a patient of its own.
    assert told.inner_text() == "No score of the study: The images are of several patients."


def test_a_study_is_scored_by_breast_from_just_the_images_beside_it(
    visit: Visit, cbis_files: list[Path], tmp_path: Path
) -> None:
    files = []
    for file in cbis_files[4:6]:
        dataset = pydicom.dcmread(file)
        dataset.PatientID, dataset.StudyInstanceUID = "1", "1.2.3"
        files.append(tmp_path / file.name)
        dataset.save_as(files[-1])
    visit.open(*files)
    visit.page.get_by_text("Spacing and frame", exact=True).click()
    # Of the next reading, not of these.
    visit.page.locator("#spacing").fill("0.1")
    visit.page.get_by_role("button", name="Score the study").click()
    visit.page.locator("#study-result table").wait_for()
    said = visit.page.locator("#study-result").inner_text()
    states = visit.page.locator(".item-state").all_inner_texts()
    scores = [float(state.split()[1]) for state in states]
    of_all = visit.page.locator("#study-result tbody tr").last.inner_text().split("\t")
    assert of_all[0] == "Study" and float(of_all[1]) == pytest.approx(sum(scores) / 2, abs=1e-3)
    assert "Left breast" in said and "Study" in said
    assert "Missing of the four standard views: RCC, RMLO." in said
    assert "No threshold applies" in said
    visit.page.get_by_role("button", name="Read all again").click()
    assert visit.page.locator("#study-result").inner_text() == ""
    visit.settle(2)
    assert visit.page.locator("#study-result").inner_text() == ""


@pytest.mark.long
def test_results_are_saved_each_and_all_as_one_zip(four: Visit) -> None:
    page = four.page
    page.get_by_role("button", name="R CC").click()
    four.frame()
    for name, ending in [
        ("JSON", ".json"), ("Mask PNG", "-mask.png"), ("Overlay PNG", "-overlay.png"),
        ("SEG", "-seg.dcm"), ("SR", "-sr.dcm"),
    ]:  # fmt: skip
        with page.expect_download() as saved:
            page.get_by_role("button", name=name, exact=True).click()
        assert saved.value.suggested_filename == f"1-282{ending}"
        content = Path(saved.value.path()).read_bytes()
        check(ending, content)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Results as ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(saved.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 20
        for name in archive.namelist():
            check(name[5:], archive.read(name))


def check(ending: str, content: bytes) -> None:
    """Check that a file is what its name says."""
    if ending == ".json":
        assert json.loads(content)["model"]["name"]
    elif ending.endswith(".png"):
        assert content.startswith(b"\x89PNG")
    else:
        kinds = {"-seg.dcm": "SEG", "-sr.dcm": "SR"}
        assert pydicom.dcmread(io.BytesIO(content)).Modality == kinds[ending]


@pytest.mark.long
def test_a_folder_is_opened_as_one_study_and_another_of_its_name_as_another(
    visit: Visit, cbis_files: list[Path], tmp_path: Path
) -> None:
    page = visit.page
    for at, (there, files) in enumerate([("one", cbis_files[4:6]), ("two", cbis_files[6:8])], 1):
        folder = tmp_path / there / "a study"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "notes.txt").write_text("no image")
        page.locator("#folder").set_input_files(str(folder))
        visit.settle(2 * at)
        assert page.locator("#list li").count() == 2 * at
        assert page.locator("input[name=layout][value=four]").is_checked()
    assert page.locator("#list h2").all_inner_texts() == ["a study", "a study (2)"]
    page.locator(".pane:not(.empty)").nth(1).wait_for()
    # They may be two women's: neither hangs beside the other.
    for name, hung in [("L CC", ["L CC", "L MLO"]), ("R CC", ["R CC", "R MLO"])]:
        page.get_by_role("button", name=name).click()
        page.locator(".pane:not(.empty)", has_text=name).wait_for()
        visit.frame()
        assert page.locator(".pane:not(.empty) .label").all_inner_texts() == hung
