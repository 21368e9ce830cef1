"""What a reader does while other images are still read: clicks, focus, the next region."""

from pathlib import Path
from typing import Any

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.page.conftest import Visit
from tests.e2e.page.pixels import area_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MARKED = """() => [...document.querySelectorAll(
  "#downloads button, #regions button, #facts dd, #study-result p")]
  .map((one) => { one.marked = true; return one; }).length"""
STILL_MARKED = """() => [...document.querySelectorAll(
  "#downloads button, #regions button, #facts dd, #study-result p")]
  .filter((one) => one.marked).length"""


@pytest.mark.long
def test_buttons_and_texts_of_the_image_that_is_shown_stay_while_others_are_read(
    visit: Visit, cbis_files: list[Path]
) -> None:
    page = visit.page
    held: list[Any] = []
    page.locator("#files").set_input_files([str(file) for file in cbis_files])
    page.locator("li[data-state=done]").first.wait_for()
    page.locator("#downloads button").first.wait_for()
    page.get_by_role("button", name="Score the study").click()
    page.locator("#study-result .problem").wait_for()
    page.locator("#downloads button").first.focus()
    count = page.evaluate(MARKED)
    assert count > 8 and held == []
    before = page.locator("li[data-state=done]").count()
    page.locator("li[data-state=done]").nth(7).wait_for()
    visit.frame()
    assert before < 8
    # The study's problem was said of other images than are read now, and goes.
    assert page.evaluate(STILL_MARKED) >= count - 1
    assert page.evaluate("document.activeElement.textContent") == "JSON"


@pytest.mark.long
def test_the_next_region_of_another_image_is_its_first(
    visit: Visit, cbis_files: list[Path]
) -> None:
    page = visit.page
    visit.open(cbis_files[2], cbis_files[2])
    visit.choose("layout", "one")
    page.locator(".pane:not(.empty)").first.wait_for()
    page.get_by_role("button", name="Centre on region 1").click()
    visit.frame()
    first = area_of(page)
    page.get_by_role("button", name="Centre on region 2").click()
    page.locator(".pane").first.press("PageDown")
    page.locator("li:nth-child(2) [aria-current]").wait_for()
    # Its picture is decoded only now.
    page.locator(".pane:not(.empty)[data-left]").first.wait_for()
    visit.frame()
    page.locator(".pane").first.press("n")
    visit.frame()
    second = area_of(page)
    assert (second.left, second.top) == pytest.approx((first.left, first.top), abs=1)


def test_files_say_whose_threshold_they_hold_where_it_is_not_the_one_that_is_shown(
    visit: Visit, tmp_path: Path
) -> None:
    page, file = visit.page, tmp_path / "a.dcm"
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    visit.open(file)
    note = page.locator("#files-note")
    assert note.inner_text() == ""
    own = page.locator("#threshold-value").inner_text()
    visit.set_range("threshold", 0.9)
    assert own in note.inner_text() and "not what is shown at 0.900" in note.inner_text()
    page.locator("#model-threshold").click()
    assert note.inner_text() == ""
