"""Source pixels on the pixels of a screen, whatever its scale."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.conftest import Service
from tests.e2e.page.conftest import SIZE, Visit, window
from tests.e2e.page.pixels import asked
from tests.programs import require_program

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]


def middle_of_the_pane(visit: Visit, session: Any, half: int) -> NDArray[np.uint8]:
    """Return what the screen of a debugger's session shows: uint8, (2 * half, 2 * half)."""
    # Playwright's own screenshot sets the scale back that a test has set.
    content = base64.b64decode(session.send("Page.captureScreenshot", {"format": "png"})["data"])
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    x, y = visit.page.locator(".pane").first.evaluate(
        """(pane) => {
          const {left, top, width, height} = pane.getBoundingClientRect();
          const middle = [left + width / 2, top + height / 2];
          return middle.map((at) => Math.floor(at * devicePixelRatio));
        }"""
    )
    return np.asarray(shown)[y - half : y + half, x - half : x + half]


def stands_in(part: NDArray[np.uint8], source: NDArray[np.uint8]) -> bool:
    """Whether a picture is a part of another, pixel by pixel."""
    found = cv2.matchTemplate(source, part, cv2.TM_SQDIFF)
    y, x = np.unravel_index(found.argmin(), found.shape)
    return np.array_equal(source[y : y + len(part), x : x + len(part)], part)


@pytest.fixture
def source(service: Service, cbis_files: list[Path]) -> NDArray[np.uint8]:
    """The film's displayed pixels, in the greys of a screen."""
    levels = asked(service.url, cbis_files[2].read_bytes(), "image")
    return np.rint(levels / 65535 * 255).astype(np.uint8)


def test_at_one_to_one_and_in_the_loupe_a_source_pixel_is_one_of_the_screen_at_125_percent(
    browser: Any, service: Service, cbis_files: list[Path], source: NDArray[np.uint8]
) -> None:
    # The screen's own scale: an emulated one lies between the pixels of the real.
    scaled = browser.browser_type.launch(
        executable_path=require_program("chromium", "chromium"),
        args=[
            *("--no-sandbox", "--disable-gpu", "--force-device-scale-factor=1.25"),
            f"--window-size={SIZE['width']},{SIZE['height']}",
        ],
    )
    visit = Visit(window(scaled, no_viewport=True), service)
    visit.open(cbis_files[2])
    visit.choose("overlay", "none")
    session = visit.context.new_cdp_session(visit.page)
    visit.page.locator(".pane").first.press("1")
    visit.frame()
    assert visit.page.evaluate("devicePixelRatio") == 1.25
    assert stands_in(middle_of_the_pane(visit, session, 150), source)
    visit.page.keyboard.press("0")
    visit.page.keyboard.press("l")
    visit.frame()
    assert stands_in(middle_of_the_pane(visit, session, 60), source)
    scaled.close()
    assert visit.faults == []


def test_one_to_one_stays_so_on_another_screen(
    browser: Any, service: Service, cbis_files: list[Path], source: NDArray[np.uint8]
) -> None:
    visit = Visit(window(browser, no_viewport=True), service)
    visit.open(cbis_files[2])
    visit.choose("overlay", "none")
    # The pane keeps its size in CSS pixels.
    change = {"width": 0, "height": 0, "deviceScaleFactor": 2, "mobile": False}
    session = visit.context.new_cdp_session(visit.page)
    session.send("Emulation.setDeviceMetricsOverride", change)
    visit.page.wait_for_timeout(500)
    visit.page.locator(".pane").first.press("1")
    visit.frame()
    assert visit.page.evaluate("devicePixelRatio") == 2
    assert stands_in(middle_of_the_pane(visit, session, 150), source)
    visit.context.close()
    assert visit.faults == []
