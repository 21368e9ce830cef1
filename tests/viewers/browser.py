"""Debian's Chromium without a display, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.programs import require_program, skip_or_fail

if TYPE_CHECKING:
    from playwright.sync_api import Page

WAIT_MS = 300_000
"""Far more than a page takes on an idle machine."""

_WEBGL_WITHOUT_GPU = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def browser_page(width: int, height: int) -> Iterator["Page"]:
    """Open a page of a new browser; where one of the two is missing the test is skipped by name."""
    chromium = require_program("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("needs playwright (PyPI)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", *_WEBGL_WITHOUT_GPU]
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()
