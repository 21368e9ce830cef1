"""The page of a service that wants keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Service, serving
from tests.e2e.page.conftest import SIZE, TIMEOUT_MS
from tests.e2e.test_access import mammoseg

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    made = mammoseg("keys", "add", "page", "--scopes", "segment", "--file", file)
    return file, made.stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("guarded"), keys_file=str(key[0])) as service:
        yield service


def test_a_key_is_asked_for_once_and_used_for_all_that_follows(
    browser: Any, guarded: Service, key: tuple[Path, str], cbis_files: list[Path]
) -> None:
    context = browser.new_context(viewport=SIZE)
    try:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(f"{guarded.url}/")
        field, state = page.get_by_label("Key", exact=True), page.locator("#sign-in-state")
        field.fill("mammoseg_wrong")
        page.get_by_role("button", name="Sign in").click()
        state.filter(has_text="key").wait_for()
        field.fill(key[1])
        field.press("Enter")
        page.get_by_text("mammoseg-lite").first.wait_for()
        assert not page.locator("#sign-in").is_visible()
        page.locator("#files").set_input_files(str(cbis_files[2]))
        page.locator("li[data-state=done]").wait_for()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert context.cookies() == []
    finally:
        context.close()
