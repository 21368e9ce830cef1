"""*Close all images* forgets the images, what was set for them, and what was being made of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit
from tests.programs import require_program

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ALIVE = """function () {
  const blobs = this.filter((one) => {
    try { return one.size > 0; } catch { return false; }
  });
  return blobs.map((one) => (one instanceof File ? one.name : `a Blob of ${one.size} bytes`));
}"""

PAINTED = """() => [...document.querySelectorAll("canvas")]
  .filter(({width, height}) => width * height > 0).length"""


def small(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    return file


def close(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Close all images").click()
    visit.frame()


def blobs_of(visit: Visit) -> list[str]:
    """Return what Blobs and Files the page still holds, after all garbage was collected."""
    session = visit.context.new_cdp_session(visit.page)
    session.send("HeapProfiler.collectGarbage")
    prototype = session.send("Runtime.evaluate", {"expression": "Blob.prototype"})["result"]
    found = session.send(
        "Runtime.queryObjects", {"prototypeObjectId": prototype["objectId"]}
    )["objects"]  # fmt: skip
    said = session.send("Runtime.callFunctionOn", {
        "objectId": found["objectId"], "functionDeclaration": ALIVE, "returnByValue": True,
    })  # fmt: skip
    session.detach()
    return sorted(said["result"]["value"])


def test_what_was_typed_for_one_patient_is_told_while_it_holds_and_gone_with_the_images(
    visit: Visit, tmp_path: Path
) -> None:
    page, file = visit.page, small(tmp_path, "a.dcm")
    visit.open(file)
    stated = page.locator("#cut").inner_text()
    page.get_by_text("Spacing and frame", exact=True).click()
    page.locator("#spacing").fill("0.05")
    page.locator("#frame").fill("1")
    page.get_by_text("Spacing and frame", exact=True).click()
    assert page.locator("#options summary").inner_text() == (
        "Spacing and frame typed: 0.05 mm, frame 1"
    )
    visit.open(small(tmp_path, "b.dcm"))
    page.locator("li[data-state=done]").nth(1).wait_for()
    page.locator(".pane[data-drawn='b.dcm']").wait_for()
    assert "0.05 \N{MULTIPLICATION SIGN} 0.05 mm, typed" in page.locator("#facts").inner_text()
    for name, value in (("threshold", 0.9), ("width", 40), ("level", 20)):
        visit.set_range(name, value)
    page.locator("#invert").check()
    close(visit)
    assert page.locator("#options summary").inner_text() == "Spacing and frame"
    visit.open(file)
    page.locator(".pane[data-drawn='a.dcm']").wait_for()
    assert page.locator("#cut").inner_text() == stated
    assert "typed" not in page.locator("#facts").inner_text()
    assert page.locator("#width").input_value() == "100"
    assert page.locator("#level").input_value() == "50"
    assert not page.locator("#invert").is_checked()
    assert page.locator("#files-note").inner_text() == ""


@pytest.mark.long
@pytest.mark.parametrize("button", ["Close all images", "Stop the ZIP"])
def test_a_zip_ends_with_the_images_that_it_is_of_or_by_a_button_of_its_own(
    button: str, visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    saved: list[Any] = []
    page.on("download", lambda download: saved.append(download))
    visit.open(*(small(tmp_path, f"{number}.dcm") for number in range(4)))
    held: list[Any] = []
    page.route("**/v1/segment*", lambda route: held.append(route))
    page.get_by_role("button", name="Results as ZIP").click()
    page.locator("#download-state", has_text="image 1 of 4").wait_for()
    page.wait_for_timeout(200)
    visit.requests.clear()
    page.get_by_role("button", name=button).click()
    page.wait_for_timeout(1500)
    assert len(held) == 1 and visit.requests == [] and saved == []
    said = page.locator("#download-state").text_content()
    assert said == ("" if button.startswith("Close") else "Stopped: the ZIP was not saved.")
    assert page.locator("#zip-stop").is_hidden()


@pytest.mark.long
def test_a_study_that_is_closed_is_not_scored(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    left: list[str] = []
    page.on("requestfailed", lambda request: left.append(request.url))
    visit.open(*(small(tmp_path, f"{number}.dcm") for number in range(2)))
    page.route("**/v1/studies*", lambda route: None)
    page.get_by_role("button", name="Score the study").click()
    page.get_by_text("Asking the service …").wait_for()
    page.wait_for_timeout(200)
    close(visit)
    page.wait_for_timeout(300)
    assert len(left) == 1 and "v1/studies" in left[0]
    assert page.locator("#study-result").text_content() == ""


def test_nothing_of_closed_images_stays_in_the_tab(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    names = [f"someone {number}.dcm" for number in range(4)]
    visit.open(*(small(tmp_path, name) for name in names))
    for layout in ("four", "one"):
        visit.choose("layout", layout)
        page.locator(".pane:not(.empty)").first.wait_for()
        page.locator("#loupe").check()
        page.locator(".pane").first.hover()
        visit.frame()
    with page.expect_download():
        page.get_by_role("button", name="Mask PNG").click()
    page.locator("#download-state", has_text="Saved").wait_for()
    # Of the pictures there are none: a large Blob is laid on the disk.
    assert {name for name in blobs_of(visit) if name.endswith(".dcm")} == set(names)
    close(visit)
    assert blobs_of(visit) == []
    assert page.evaluate(PAINTED) == 0
    assert "someone" not in page.content()
    for name in ("score", "cut", "facts", "warnings", "downloads", "download-state"):
        assert page.locator(f"#{name}").text_content() == ""


@pytest.fixture
def profile(browser: Any, tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """An ordinary profile, which is kept on the disk."""
    folder = tmp_path / "profile"
    context = browser.browser_type.launch_persistent_context(
        str(folder),
        executable_path=require_program("chromium", "chromium"),
        args=["--no-sandbox", "--disable-gpu"],
    )
    yield context, folder
    context.close()


def test_no_picture_is_laid_into_the_browsers_profile(
    profile: tuple[Any, Path], service: Service, cbis_files: list[Path]
) -> None:
    context, folder = profile
    page = context.new_page()
    page.goto(f"{service.url}/")
    page.locator("#files").set_input_files([str(file) for file in cbis_files[:4]])
    page.locator("li[data-state=done]").nth(3).wait_for()
    page.locator(".pane:not(.empty)[data-drawn]").first.wait_for()
    page.wait_for_timeout(1000)
    large = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size > 2**21]
    assert [file for file in large if "blob_storage" in file.parts] == []
