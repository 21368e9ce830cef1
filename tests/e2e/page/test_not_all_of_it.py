"""What cannot be had holds nothing up: images that fail, results that cannot be made."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FULL = '{"code": "overloaded", "title": "Full", "status": 503, "detail": "All places are taken."}'


def small(file: Path, **elements: Any) -> Path:
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1], **elements))
    return file


def test_a_zip_holds_what_can_be_made_under_a_name_of_its_own_and_names_the_rest(
    visit: Visit, tmp_path: Path
) -> None:
    uids = {
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "SOPInstanceUID": "1.2.3.4.5",
    }
    grey = (phantom(12) >> 8).astype("uint8")
    assert cv2.imwrite(str(tmp_path / "A.png"), grey)
    visit.open(
        small(tmp_path / "a-2.dcm", **uids),
        small(tmp_path / "a.dcm", PatientID="X" * 70, **uids),
        tmp_path / "A.png",
        small(tmp_path / "ct.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT"),
    )
    assert visit.page.locator("#progress").inner_text() == "3 of 4 images read, 1 refused"
    with visit.page.expect_download() as saved:
        visit.page.get_by_role("button", name="Results as ZIP").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        names, missing = archive.namelist(), archive.read("missing.txt").decode()
    pictures, objects = (".json", "-mask.png", "-overlay.png"), ("-seg.dcm", "-sr.dcm")
    stems = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    assert len({stem.lower() for stem in stems}) == 3 and "a-2" in stems
    assert {name for name in names if name != "missing.txt"} == {
        *(stem + ending for stem in stems for ending in pictures),
        *(f"a-2{ending}" for ending in objects),
    }
    assert len(names) == len(set(names)) == 12
    said = visit.page.locator("#download-state").inner_text()
    for part in ("a.dcm: SEG: ", "a.dcm: SR: ", "Patient ID", "ct.dcm: "):
        assert part in missing and part in said
    assert "A.png" not in missing


HTML = "<html><body>Sign in</body></html>"
STRANGE: list[dict[str, Any]] = [
    {"status": 200, "content_type": "text/html", "body": HTML},
    {"status": 200, "content_type": "application/json", "body": "{}"},
    {"status": 200, "body": ""},
    {"status": 204},
    {"status": 403, "content_type": "text/html", "body": HTML},
    {"status": 413, "content_type": "text/html", "body": HTML},
    {"status": 502, "content_type": "text/html", "body": HTML},
    {
        "status": 400,
        "content_type": "application/problem+json",
        "body": '{"code": "upload-timeout", "status": 400, "detail": "Not in time."}',
    },
]


def answering(answer: dict[str, Any]) -> Callable[[Any], None]:
    return lambda route: route.fulfill(**answer)


@pytest.mark.long
def test_what_came_of_the_way_to_the_service_is_not_answered_and_sent_again(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    for number, answer in enumerate(STRANGE):
        page.route("**/v1/segment*", answering(answer), times=1)
        page.locator("#files").set_input_files(str(small(tmp_path / f"{number}.dcm")))
        entry = page.locator("li[data-state=failed]").nth(number)
        entry.wait_for()
        said = entry.inner_text()
        assert str(answer["status"]) in said or "Not in time." in said
    count = len(STRANGE)
    told = f"0 of {count} images read, {count} not answered"
    assert page.locator("#progress").inner_text() == told
    page.get_by_role("button", name="Send again what was not answered").click()
    page.locator("li[data-state=done]").nth(count - 1).wait_for()
    assert page.locator("#progress").inner_text() == f"{count} of {count} images read"


@pytest.mark.long
def test_a_zip_is_saved_in_parts_of_names_that_stay_in_its_folder(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    visit.open(*(small(tmp_path / name, **uids) for name in ("x\\..\\evil.dcm", "b.dcm")))
    saved: list[Any] = []
    page.on("download", lambda download: saved.append(download))
    # As if one image's results filled it.
    page.evaluate(
        """async () => {
          const {Zip} = await import("/page/zip.js");
          const add = Zip.prototype.add;
          Zip.prototype.add = function (name, bytes) {
            add.call(this, name, bytes);
            if (this.count === 5) this.size += 2 ** 29;
          };
          const parts = Zip.prototype.parts;
          Zip.prototype.parts = function () {
            if (this.count === 5) this.size -= 2 ** 29;
            return parts.call(this);
          };
        }"""
    )
    page.get_by_role("button", name="Results as ZIP").click()
    page.locator("#download-state", has_text="Saved as 2 ZIPs.").wait_for()
    names = []
    for number, download in enumerate(saved, 1):
        assert download.suggested_filename == f"mammoseg-results-{number}.zip"
        with zipfile.ZipFile(download.path()) as archive:
            assert archive.testzip() is None
            names.append(archive.namelist())
    assert [len(some) for some in names] == [5, 5]
    assert {"b.json", "x_.._evil.json"} < {*names[0], *names[1]}


@pytest.mark.long
def test_more_images_than_a_study_has_are_told_before_they_are_sent(
    visit: Visit, tmp_path: Path
) -> None:
    visit.open(*(small(tmp_path / f"{number}.dcm") for number in range(33)))
    visit.requests.clear()
    visit.page.get_by_role("button", name="Score the study").click()
    told = visit.page.locator("#study-result .problem").inner_text()
    assert "up to 32 images as one study, and these are 33." in told
    assert visit.requests == []


@pytest.mark.long
def test_what_fails_for_the_services_sake_is_waited_for_or_sent_again_alone(
    visit: Visit, tmp_path: Path
) -> None:
    page, asked = visit.page, []
    files = [small(tmp_path / f"{name}.dcm") for name in ("good", "later")]

    def full(route: Any) -> None:
        asked.append("full")
        if len(asked) > 40:
            route.fallback()
        else:
            route.fulfill(status=503, headers={"Retry-After": "0.02"}, body=FULL)

    page.route("**/v1/segment*", full)
    visit.open(files[0])
    assert len(asked) == 41 and page.locator("li[data-state=done]").count() == 1
    page.unroute("**/v1/segment*")
    page.route("**/v1/segment*", lambda route: route.abort("connectionreset"), times=1)
    page.locator("#files").set_input_files(str(files[1]))
    page.locator("li[data-state=failed]").wait_for()
    assert "1 of 2 images read, 1 not answered" in page.locator("#progress").inner_text()
    visit.requests.clear()
    page.get_by_role("button", name="Send again what was not answered").click()
    page.locator("li[data-state=done]").nth(1).wait_for()
    assert sum("/v1/segment" in url for url in visit.requests) == 1
    assert page.locator("#resend").is_hidden()
    os.utime(files[1], (1, 1))
    page.get_by_role("button", name="later.dcm").click()
    page.get_by_role("button", name="SEG", exact=True).click()
    page.locator("#download-state", has_text="later.dcm was changed or removed").wait_for()
