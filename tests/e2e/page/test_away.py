"""What stays of images that were read while their pictures, let go, cannot be had again."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SEGMENT = "**/v1/segment*"
AWAY = "The service did not answer."
COUNT = 9


@pytest.fixture
def frugal(shared: Any, service: Service, tmp_path: Path) -> Iterator[Visit]:
    """Nine small images on a page that keeps no pictures but decoded ones."""
    visit = Visit(shared, service)
    visit.page.route("**/page/readings.js", frugally)
    visit.page.reload()
    visit.page.get_by_text("mammoseg-lite").first.wait_for()
    uids: dict[str, Any] = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
    files = [tmp_path / f"{number}.dcm" for number in range(COUNT)]
    for number, file in enumerate(files):
        uid = f"1.2.3.4.{number}"
        file.write_bytes(
            dicom_file(phantom(12), ImagerPixelSpacing=[1, 1], SOPInstanceUID=uid, **uids)
        )
    visit.open(*files)
    yield visit
    visit.page.close()
    assert visit.faults == []


def frugally(route: Any) -> None:
    response = route.fetch()
    changed = response.text().replace("128 * 2 ** 20", "0")
    assert changed != response.text()
    route.fulfill(response=response, body=changed)


def answer(sha256: str) -> dict[str, Any]:
    """Return an answer of a model, whose pictures are none."""
    names = ("image", "probability", "activation")
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nx' for name in names]
    return {
        "headers": {
            "Mammoseg-Model-Sha256": sha256,
            "Content-Type": 'multipart/form-data; boundary="b"',
        },
        "body": "\r\n".join([*parts, "--b--\r\n"]),
    }


def look_at(visit: Visit, number: int) -> None:
    visit.page.get_by_role("button", name=f"{number}.dcm").click()
    visit.frame()


def pane(visit: Visit) -> Any:
    return visit.page.locator(".pane").first


def told(visit: Visit) -> list[str]:
    page = visit.page
    return [page.locator(f"#{name}").inner_text() for name in ("score", "meaning", "warnings")]


def lose(visit: Visit, number: int) -> None:
    """Show an image while the service is away, and wait until the pane says so."""
    look_at(visit, number)
    pane(visit).get_by_text(AWAY).wait_for()


def test_findings_stay_while_pictures_cannot_be_had_and_these_come_back_when_shown_again(
    frugal: Visit,
) -> None:
    page = frugal.page
    look_at(frugal, 1)
    page.locator(".pane[data-drawn='1.dcm']").wait_for()
    before, regions = told(frugal), page.locator("#regions tbody tr").count()
    look_at(frugal, 2)
    page.route(SEGMENT, lambda route: route.abort("connectionreset"))
    page.locator(".pane[data-drawn='2.dcm']").wait_for()
    lose(frugal, 8)
    lose(frugal, 5)
    assert page.locator("li[data-state=done]").count() == COUNT
    assert page.locator("#resend").is_hidden()
    assert pane(frugal).locator(".label").inner_text() == "View unknown"
    assert "what was found stays" in pane(frugal).inner_text()
    assert pane(frugal).locator(".state").inner_text() == f"5.dcm · score {before[0].split()[0]}"
    assert told(frugal) == before and regions >= 1
    assert "the service's own regions" in page.locator("#cut").inner_text()
    assert page.locator("#regions tbody tr").count() >= 1
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON", exact=True).click()
    assert json.loads(Path(saved.value.path()).read_bytes())["has_mask"]
    page.unroute(SEGMENT)
    pane(frugal).get_by_role("button", name="Try again").click()
    page.locator(".pane[data-drawn='5.dcm']").wait_for()
    assert pane(frugal).get_by_role("button").count() == 0
    assert page.locator("#regions tbody button").count() == regions
    look_at(frugal, 8)
    page.locator(".pane[data-drawn='8.dcm']").wait_for()


def test_a_zip_holds_what_was_found_and_names_what_cannot_be_had_now(frugal: Visit) -> None:
    page = frugal.page
    page.route(SEGMENT, lambda route: route.abort("connectionreset"))
    lose(frugal, 8)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Results as ZIP").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        names = set(archive.namelist())
        missing = archive.read("missing.txt").decode().splitlines()
        found = json.loads(archive.read("8.json"))
    assert names == {"missing.txt", *(f"{number}.json" for number in range(COUNT))}
    assert missing == [
        f"{number}.dcm: Mask PNG, Overlay PNG, SEG, SR: {AWAY}" for number in range(COUNT)
    ]
    assert found["image"]["sop_instance_uid"] == "1.2.3.4.8"


def test_pictures_of_another_model_are_not_laid_under_what_one_found(frugal: Visit) -> None:
    page = frugal.page
    page.route(SEGMENT, lambda route: route.fulfill(**answer("0" * 64)))
    look_at(frugal, 8)
    pane(frugal).get_by_text("The model was replaced since this image was read.").wait_for()
    assert page.locator("li[data-state=done]").count() == COUNT
    assert pane(frugal).get_attribute("data-drawn") is None
    score = page.locator("#score strong").inner_text()
    assert score in pane(frugal).locator(".state").inner_text()
    page.unroute(SEGMENT)
    frugal.requests.clear()
    pane(frugal).get_by_role("button", name="Read this image again").click()
    page.locator(".pane[data-drawn='8.dcm']").wait_for()
    # As one: what is found, and the pictures that it was found in.
    asked = [url for url in frugal.requests if "v1/segment" in url]
    assert len(asked) == 1 and "output=json%2Cimage" in asked[0]
    assert page.locator("#score strong").inner_text() == score


def test_a_picture_that_is_none_costs_no_finding_and_is_asked_for_anew(frugal: Visit) -> None:
    page = frugal.page
    served = httpx.get(f"{frugal.service.url}/v1/model").json()["sha256"]
    page.route(SEGMENT, lambda route: route.fulfill(**answer(served)))
    look_at(frugal, 8)
    pane(frugal).get_by_text("The picture could not be read: not a PNG.").wait_for()
    page.unroute(SEGMENT)
    pane(frugal).get_by_role("button", name="Try again").click()
    page.locator(".pane[data-drawn='8.dcm']").wait_for()
