"""The page in Debian's chromium; every test here is skipped by name where that is absent."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Service
from tests.programs import require_program

SIZE = {"width": 1600, "height": 1000}
TIMEOUT_MS = 120_000
"""For an answer of the service and its picture, on a machine that does other things, too."""


def folder_of(package: str) -> Path:
    """Return where a Python package lies; without it the test is skipped, in CI it fails."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        if os.environ.get("TESTS_REQUIRE_ALL") == "1":
            pytest.fail(f"needs {package}")
        pytest.skip(f"needs {package}")
    return Path(found.origin).parent


@pytest.fixture(scope="session")
def service(bundled_service: Service) -> Service:
    """The bundled model: what the page shows of its answers is looked at."""
    return bundled_service


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A headless chromium, for this folder alone: an event loop runs in this thread meanwhile."""
    program = require_program("chromium", "chromium")
    folder_of("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox for it. A GPU that is not there is not imitated.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def window(browser: Any, **options: Any) -> Any:
    """Return a context of its own; without a viewport its screen is the browser's own."""
    viewport = {} if "no_viewport" in options else {"viewport": SIZE}
    return browser.new_context(accept_downloads=True, **viewport, **options)


class Visit:
    """One visit to the page: what it asked for, and what went wrong in it."""

    def __init__(self, context: Any, service: Service) -> None:
        self.service, self.context = service, context
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note)
        self.page.goto(f"{service.url}/")
        self.page.get_by_text("mammoseg-lite").first.wait_for()

    def _note(self, message: Any) -> None:
        # A refused file is a status of 4xx, which the browser itself calls an error.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def open(self, *files: Path) -> None:
        """Choose files, and wait until each was read or refused."""
        self.page.locator("#files").set_input_files([str(file) for file in files])
        self.settle(len(files))

    def settle(self, count: int) -> None:
        """Wait until so many files were read or refused, and what is read is painted."""
        ended = self.page.locator("li[data-state=done], li[data-state=failed]")
        ended.nth(count - 1).wait_for()
        if self.page.locator("li[data-state=done]").count():
            self.page.locator(".pane:not(.empty)[data-drawn]").first.wait_for()
        self.frame()

    def frame(self) -> None:
        """Let the page paint what was asked for."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def set_range(self, name: str, value: float) -> None:
        """Move a slider."""
        self.page.locator(f"#{name}").evaluate(
            "(slider, value) => { slider.value = value;"
            " slider.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
        self.frame()

    def choose(self, name: str, value: str) -> None:
        """Choose one of several."""
        self.page.locator(f"input[name={name}][value={value}]").check()
        self.frame()


@pytest.fixture(scope="module")
def shared(browser: Any) -> Iterator[Any]:
    """A context for the visits of a module: a new one takes the browser more than a second."""
    context = window(browser)
    yield context
    context.close()


@pytest.fixture
def visit(shared: Any, service: Service) -> Iterator[Visit]:
    """A visit in a tab of its own, without any fault of the page itself."""
    visit = Visit(shared, service)
    yield visit
    visit.page.close()
    assert visit.faults == []


@pytest.fixture(scope="module")
def right_cc(shared: Any, service: Service, cbis_files: list[Path]) -> Iterator[Visit]:
    """A visit with one image open, which the tests of a module share: a film of two masses."""
    visit = Visit(shared, service)
    visit.open(cbis_files[2])
    yield visit
    visit.page.close()
    assert visit.faults == []
