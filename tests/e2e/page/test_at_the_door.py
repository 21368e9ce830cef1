"""What the page takes and refuses, by mouse, drop, touch and keyboard; and what it keeps to."""

import base64
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit, window
from tests.e2e.page.pixels import area_of, canvas_pixels

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CT = "1.2.840.10008.5.1.4.1.1.2"

KEPT = """async () => ({
  cookies: document.cookie,
  local: localStorage.length,
  session: sessionStorage.length,
  caches: (await caches.keys()).length,
  databases: (await indexedDB.databases()).length,
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""


def test_a_ct_is_refused_in_words_and_does_not_spoil_the_rest(
    visit: Visit, cbis_files: list[Path], tmp_path: Path
) -> None:
    ct = tmp_path / "ct.dcm"
    ct.write_bytes(dicom_file(phantom(), SOPClassUID=CT, Modality="CT"))
    visit.open(ct, cbis_files[2])
    said = httpx.post(
        f"{visit.service.url}/v1/segment",
        content=ct.read_bytes(),
        headers={"Content-Type": "application/dicom"},
    ).json()
    assert said["status"] == 422
    entry = visit.page.locator("li[data-state=failed]")
    assert said["detail"] in entry.inner_text()
    assert visit.page.locator("#progress").inner_text() == "1 of 2 images read, 1 refused"
    assert visit.page.locator(".pane:not(.empty) .label").all_inner_texts() == ["R CC"]


@pytest.mark.long
def test_a_ct_alone_is_told_where_the_image_would_be(visit: Visit, tmp_path: Path) -> None:
    ct = tmp_path / "ct.dcm"
    ct.write_bytes(dicom_file(phantom(), SOPClassUID=CT, Modality="CT"))
    visit.open(ct)
    note = visit.page.locator(".pane .note").first.inner_text()
    assert note.startswith("ct.dcm: ")
    assert visit.page.locator("#findings.empty").count() == 1


@pytest.mark.long
def test_a_file_is_dropped(visit: Visit, cbis_files: list[Path]) -> None:
    content = base64.b64encode(cbis_files[2].read_bytes()).decode("ascii")
    transfer = visit.page.evaluate_handle(
        """(content) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          transfer.items.add(new File([bytes], "dropped.dcm"));
          return transfer;
        }""",
        content,
    )
    visit.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    visit.settle(1)
    assert visit.page.locator("#view-name").inner_text() == "R CC · dropped.dcm"


def test_everything_is_reached_by_keyboard_alone(visit: Visit, cbis_files: list[Path]) -> None:
    page = visit.page
    # From now on: asked for as late as at the key, the browser may open a dialog of its own.
    page.on("filechooser", lambda chooser: chooser.set_files([str(cbis_files[2])]))
    page.wait_for_timeout(500)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose-files"
    page.keyboard.press("Enter")
    visit.settle(1)
    tab_to(page, "document.activeElement.classList.contains('pane')")
    before = area_of(page)
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    visit.frame()
    after = area_of(page)
    assert after.scale > before.scale and after.left != before.left
    page.keyboard.press("1")
    visit.frame()
    assert area_of(page).scale == pytest.approx(1)
    page.keyboard.press("i")
    page.keyboard.press("o")
    page.keyboard.press("l")
    visit.frame()
    assert page.locator("#invert").is_checked() and page.locator("#loupe").is_checked()
    assert page.locator("canvas.loupe").first.is_visible()
    assert page.locator("input[name=overlay][value=fill]").is_checked()
    threshold = page.locator("#threshold-value").inner_text()
    page.keyboard.press("]")
    visit.frame()
    assert float(page.locator("#threshold-value").inner_text()) > float(threshold)
    tab_to(page, "document.activeElement.id === 'threshold'")
    said = page.locator("#cut").inner_text()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    visit.frame()
    assert page.locator("#cut").inner_text() != said
    tab_to(page, "document.activeElement.ariaLabel === 'Centre on region 1'")
    page.keyboard.press("Enter")
    visit.frame()
    painted = canvas_pixels(page, "overlay")[..., 3] > 0
    assert painted[painted.shape[0] // 2, painted.shape[1] // 2]
    tab_to(page, "document.activeElement.textContent === 'JSON'")
    with page.expect_download():
        page.keyboard.press("Enter")


def tab_to(page: Any, condition: str) -> None:
    """Press Tab until the focus is where a condition holds; every focus can be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(condition):
            return
    pytest.fail(f"no Tab leads to {condition}")


@pytest.mark.long
def test_two_fingers_zoom_and_one_moves(
    browser: Any, service: Service, cbis_files: list[Path]
) -> None:
    visit = Visit(window(browser, has_touch=True), service)
    visit.open(cbis_files[2])
    visit.choose("drag", "pan")
    page = visit.page
    box = page.locator(".pane").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch(visit, [(x - 50, y), (x + 50, y)], [(x - 150, y), (x + 150, y)])
    before = area_of(page)
    assert before.scale > 0.4
    touch(visit, [(x, y)], [(x + 80, y)])
    assert area_of(page).left == pytest.approx(before.left - 80 / before.scale, abs=5)
    visit.context.close()
    assert visit.faults == []


def touch(visit: Visit, begin: list[tuple[float, float]], end: list[tuple[float, float]]) -> None:
    """Move fingers from here to there."""
    session = visit.context.new_cdp_session(visit.page)

    def send(kind: str, points: list[tuple[float, float]]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", begin)
    for step in range(1, 11):
        send("touchMove", [
            (x0 + (x1 - x0) * step / 10, y0 + (y1 - y0) * step / 10)
            for (x0, y0), (x1, y1) in zip(begin, end, strict=True)
        ])  # fmt: skip
    send("touchEnd", [])
    visit.frame()


def test_nothing_leaves_the_host_and_nothing_is_kept(visit: Visit, cbis_files: list[Path]) -> None:
    visit.open(cbis_files[2])
    for kind in ("heatmap", "activation"):
        visit.choose("overlay", kind)
    assert len(visit.requests) > 20
    strangers = [
        url
        for url in visit.requests
        if not url.startswith((f"{visit.service.url}/", f"blob:{visit.service.url}/"))
    ]
    assert strangers == []
    assert visit.page.evaluate(KEPT) == dict.fromkeys(
        ("cookies", "local", "session", "caches", "databases", "workers"), 0
    ) | {"cookies": ""}


def test_neither_a_script_nor_a_style_may_stand_in_the_page(visit: Visit) -> None:
    policy = httpx.get(f"{visit.service.url}/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    parts = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == ["'self'"]
    ran = visit.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          return window.ran === true;
        }"""
    )
    assert not ran
    assert any("Content Security Policy" in fault for fault in visit.faults)
    visit.faults.clear()


def test_a_files_name_is_never_markup(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "<img src=x onerror=alert(1)>.dcm"
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    visit.open(file)
    assert visit.page.locator("img").count() == 0
    assert file.name in visit.page.locator("#view-name").inner_text()


@pytest.mark.long
def test_what_is_closed_while_it_is_read_is_not_waited_for(
    visit: Visit, cbis_files: list[Path]
) -> None:
    left: list[str] = []
    visit.page.on("requestfailed", lambda request: left.append(request.url))
    visit.page.locator("#files").set_input_files([str(file) for file in cbis_files[:4]])
    visit.page.locator("li[data-state=reading], li[data-state=sending]").first.wait_for()
    visit.page.get_by_role("button", name="Close all images").click()
    visit.page.wait_for_timeout(500)
    assert left
    assert visit.page.locator("#list li").count() == 0
    visit.open(cbis_files[2])
    assert visit.page.locator("#view-name").inner_text() == "R CC · 1-132.dcm"


@pytest.mark.long
def test_closing_the_images_lets_go_of_them(visit: Visit, cbis_files: list[Path]) -> None:
    visit.open(cbis_files[2])
    visit.page.get_by_role("button", name="Close all images").click()
    visit.frame()
    assert visit.page.locator("#list li").count() == 0
    assert visit.page.locator(".pane:not(.empty)").count() == 0
    assert re.search("nothing of them is kept", visit.page.locator(".note").first.inner_text())
