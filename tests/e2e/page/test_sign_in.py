"""The page of a service that wants keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service, serving
from tests.e2e.page.conftest import SIZE, TIMEOUT_MS
from tests.e2e.test_access import mammoseg
from tests.waiting import comes_true

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
    browser: Any, guarded: Service, key: tuple[Path, str], tmp_path: Path
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
        image = tmp_path / "image.dcm"
        image.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
        page.locator("#files").set_input_files(str(image))
        page.locator("li[data-state=done]").wait_for()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert context.cookies() == []
    finally:
        context.close()


@pytest.mark.long
def test_a_withdrawn_key_is_told_and_what_was_not_read_is_sent_with_the_next(
    browser: Any, guarded: Service, key: tuple[Path, str], tmp_path: Path
) -> None:
    file, given = key
    context = browser.new_context(viewport=SIZE)
    try:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(f"{guarded.url}/")
        field, form = page.get_by_label("Key", exact=True), page.locator("#sign-in")
        field.fill(given)
        field.press("Enter")
        form.wait_for(state="hidden")
        images = [tmp_path / f"{name}.dcm" for name in ("before", "after")]
        for image in images:
            image.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
        page.locator("#files").set_input_files(str(images[0]))
        page.locator("li[data-state=done]").wait_for()
        page.locator("#threshold").fill("0.7")
        mammoseg("keys", "remove", "page", "--file", file)
        another = mammoseg("keys", "add", "another", "--scopes", "segment", "--file", file)
        assert comes_true(lambda: answers(guarded, given) == 401)
        page.locator("#files").set_input_files(str(images[1]))
        page.locator("li[data-state=failed]", has_text="sign in above").wait_for()
        assert form.is_visible() and field.input_value() == ""
        assert "no longer takes this key" in page.locator("#sign-in-state").inner_text()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        field.fill(another.stdout.strip())
        field.press("Enter")
        page.locator("li[data-state=done]").nth(1).wait_for()
        assert sum("/v1/segment" in url for url in asked) == 1
        assert page.locator("#threshold").input_value() == "0.7"
    finally:
        context.close()


def answers(service: Service, key: str) -> int:
    """Return the status that the service answers a key with."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{service.url}/v1/model", headers=headers).status_code
