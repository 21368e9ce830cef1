"""The page by the keyboard alone, and on a phone (WCAG 2.2: 2.4.7, 2.4.11, 1.4.10)."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.e2e.conftest import Service
from tests.e2e.page.conftest import SIZE, Visit, window

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FOCUS = (0x9D, 0xC1, 0xEE)
"""`--focus` of the page."""

OVERFLOWING = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => `${one.tagName}#${one.id}.${one.className}`)"""


def screenshot(page: Any) -> NDArray[np.uint8]:
    """Return what is seen: uint8, shape (rows, columns, 3)."""
    return np.asarray(Image.open(BytesIO(page.screenshot())).convert("RGB"))


def focus_by_tab(page: Any, wanted: str) -> None:
    """Go from one part of the page to the next until one that matches has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"no {wanted} is reached by the keyboard")


@pytest.mark.long
@pytest.mark.parametrize("layout", ["one", "four"])
def test_an_image_that_has_the_keyboards_focus_shows_it_on_all_four_sides(
    layout: str, visit: Visit, cbis_files: list[Path]
) -> None:
    visit.open(cbis_files[2])
    visit.choose("layout", layout)
    focus_by_tab(visit.page, ".pane:not(.empty)")
    visit.frame()
    box = visit.page.locator(".pane:focus").bounding_box()
    left, top = round(box["x"]), round(box["y"])
    right, bottom = round(box["x"] + box["width"]) - 1, round(box["y"] + box["height"]) - 1
    seen = screenshot(visit.page)
    for edge in (
        seen[top, left : right + 1],
        seen[bottom, left : right + 1],
        seen[top : bottom + 1, left],
        seen[top : bottom + 1, right],
    ):
        near = np.abs(edge.astype(int) - FOCUS).max(axis=-1) < 16
        assert near.mean() > 0.95


@pytest.mark.long
@pytest.mark.parametrize("width", [320, 390, 480, 768, 1024])
def test_nothing_is_wider_than_a_phone(width: int, visit: Visit, cbis_files: list[Path]) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": SIZE["height"]})
    for opened in ((), (cbis_files[2],)):
        if opened:
            visit.open(*opened)
        for name in ("Keys", "Spacing and frame"):
            page.get_by_text(name, exact=True).click()
        assert page.evaluate(OVERFLOWING) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for name in ("Keys", "Spacing and frame"):
            page.get_by_text(name, exact=True).click()


@pytest.mark.long
def test_the_readers_own_colours_leave_the_score_the_choice_and_the_active_pane_to_be_seen(
    browser: Any, service: Service, cbis_files: list[Path]
) -> None:
    visit = Visit(window(browser, forced_colors="active"), service)
    visit.open(*cbis_files[:2])
    visit.page.locator(".pane.active .label").wait_for()
    told = visit.page.evaluate(
        """() => {
          const of = (wanted, name) =>
            getComputedStyle(document.querySelector(wanted))[name];
          return {
            canvas: of("body", "backgroundColor"),
            colours: [of("#score-fill", "backgroundColor"), of("#score-tick", "backgroundColor"),
              of(".item[aria-current]", "outlineColor"),
              of(".pane.active .label", "backgroundColor"), of(".mark", "borderTopColor")],
            lines: [of("#score-bar", "borderTopWidth"), of(".item[aria-current]", "outlineWidth")],
          };
        }"""
    )
    visit.context.close()
    assert told["canvas"] not in told["colours"]
    assert told["lines"] == ["1px", "3px"]
    assert visit.faults == []
