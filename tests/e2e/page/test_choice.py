"""Which of the files that are chosen or dropped are sent, and what is said of the others."""

from pathlib import Path
from typing import Any

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two images, one of them called a text, and of two files that are none."""
    folder = tmp_path / "study"
    folder.mkdir()
    image = dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])
    for name, content in [
        ("a.dcm", image), ("exam.2024.txt", image), ("study.zip", b"PK"), (".hidden", b"x"),
    ]:  # fmt: skip
        (folder / name).write_bytes(content)
    return folder


def states(page: Any) -> dict[str, str]:
    return {
        item.locator(".item-name").inner_text(): item.get_attribute("data-state")
        for item in page.locator("#list li").all()
    }


def test_what_was_chosen_by_itself_is_read_or_refused_whatever_it_is_called(
    visit: Visit, folder: Path
) -> None:
    visit.open(*folder.iterdir())
    assert states(visit.page) == {
        ".hidden": "failed", "a.dcm": "done", "exam.2024.txt": "done", "study.zip": "failed",
    }  # fmt: skip
    assert visit.page.locator("#passed-over").inner_text() == ""


@pytest.mark.long
def test_what_a_folder_holds_beside_images_is_counted_and_named(visit: Visit, folder: Path) -> None:
    page = visit.page
    page.locator("#folder").set_input_files(str(folder))
    visit.settle(1)
    assert states(page) == {"a.dcm": "done"}
    said = page.locator("#passed-over").inner_text()
    assert said.startswith("3 files of the folder passed over")
    assert all(name in said for name in (".hidden", "exam.2024.txt", "study.zip"))
    page.get_by_role("button", name="Close all images").click()
    assert page.locator("#passed-over").inner_text() == ""


@pytest.mark.long
def test_a_link_that_leads_nowhere_does_not_lose_the_folder_that_was_dropped(
    visit: Visit, folder: Path
) -> None:
    (folder / "lost.dcm").symlink_to("/nowhere/at/all")
    session = visit.context.new_cdp_session(visit.page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent", {"type": kind, "x": 800, "y": 500, "data": data}
        )  # fmt: skip
    visit.settle(1)
    assert states(visit.page) == {"a.dcm": "done"}
    assert "3 files" in visit.page.locator("#passed-over").inner_text() or (
        "4 files" in visit.page.locator("#passed-over").inner_text()
        and "lost.dcm" in visit.page.locator("#passed-over").inner_text()
    )


@pytest.mark.long
def test_under_an_address_without_its_slash_the_page_says_that_its_files_did_not_come(
    visit: Visit,
) -> None:
    page = visit.page
    index = page.request.get(f"{visit.service.url}/").body()
    assert page.locator("#not-loaded").count() == 0
    page.route("**/prefix", lambda route: route.fulfill(content_type="text/html", body=index))
    page.route("**/page/*", lambda route: route.fulfill(status=404))
    page.goto(f"{visit.service.url}/prefix")
    assert page.get_by_text("Its address may want a slash at its end.").is_visible()
