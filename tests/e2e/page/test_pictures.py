"""The pictures of docs/page.md; `UPDATE_PICTURES=1` lays them anew into docs/pictures."""

import os
from pathlib import Path

import pytest

from tests.e2e.page.conftest import Visit
from tests.e2e.page.pixels import canvas_pixels

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return PICTURES if os.environ.get("UPDATE_PICTURES") == "1" else tmp_path


def save(visit: Visit, file: Path) -> None:
    """Take a picture of the whole window, the mouse out of sight."""
    visit.page.mouse.move(2, 500)
    visit.frame()
    visit.page.screenshot(path=file, type="jpeg", quality=82)
    assert file.stat().st_size > 20_000


def test_one_image_with_its_regions_outlined(
    visit: Visit, cbis_files: list[Path], folder: Path
) -> None:
    visit.open(cbis_files[2])
    save(visit, folder / "page-one.jpg")
    visit.page.get_by_role("button", name="Centre on region 1").click()
    visit.choose("overlay", "heatmap")
    save(visit, folder / "page-heatmap.jpg")


def test_four_views_of_a_study(visit: Visit, cbis_files: list[Path], folder: Path) -> None:
    visit.open(*cbis_files[4:8])
    visit.page.locator(".pane:not(.empty)").nth(3).wait_for()
    save(visit, folder / "page-four.jpg")


def test_the_loupe(visit: Visit, cbis_files: list[Path], folder: Path) -> None:
    visit.open(cbis_files[2])
    visit.page.locator("#loupe").check()
    box = visit.page.locator(".pane").first.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.55)
    visit.frame()
    visit.page.screenshot(path=folder / "page-loupe.jpg", type="jpeg", quality=82)
    shown = visit.page.locator("canvas.loupe").first
    assert shown.is_visible()
    assert canvas_pixels(visit.page, "image").any()


def test_a_narrow_window_holds_all_parts_below_each_other(
    visit: Visit, cbis_files: list[Path], folder: Path
) -> None:
    visit.page.set_viewport_size({"width": 820, "height": 1100})
    visit.open(cbis_files[2])
    for part in ("#drop", "#tools", ".pane", "#findings"):
        assert visit.page.locator(part).first.bounding_box()["width"] <= 820
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 820
    visit.page.screenshot(path=folder / "page-narrow.jpg", type="jpeg", quality=70)
