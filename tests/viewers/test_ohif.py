"""OHIF as deploy/ohif sets it up, measured on its screen: real views in all eight orientations."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.outputs.dicom.outline import shown_regions
from service.startup.models import open_model
from tests.orthanc import Orthanc, running_orthanc
from tests.viewers.browser import WAIT_MS, browser_page
from tests.viewers.ohif import DEPLOYED, ohif_files, running_ohif
from tests.viewers.screen import Placement, correlation, filled, hung, iou, shift, tell
from tests.viewers.study import TURNS, Study, View, four_views

if TYPE_CHECKING:
    from playwright.sync_api import Page

Screen = NDArray[np.uint8]
Box = dict[str, float]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.heavy]

HUNG = ("RCC", "LCC", "RMLO", "LMLO")
"""What stands in the four parts of the screen."""

_VIEWPORTS = (
    "(window.services?.cornerstoneViewportService?.getRenderingEngine()?.getViewports() ?? [])"
)
_SHOWN = f"n => {_VIEWPORTS}.length === n && {_VIEWPORTS}.every(v => v.getImageData?.())"
_MASKED = (
    f"{_VIEWPORTS}.filter(v => window.services.segmentationService"
    ".getSegmentationRepresentations(v.id).length > 0)"
)
_OUTLINED = (
    "[...document.querySelectorAll('svg.svg-layer')].filter(s => s.querySelector('polyline'))"
)
_MASKS = f"() => {_MASKED}.length === 4"
_OUTLINES = f"() => {_OUTLINED}.length === 4"
_NEITHER = f"() => {_MASKED}.length + {_OUTLINED}.length === 0"
_LOAD_A_MASK = """() => window.services.displaySetService.getActiveDisplaySets()
  .find(set => set.Modality === 'SEG' && set.instance.SegmentationType === 'BINARY')
  .load({}).then(() => 'loaded', error => error.message)"""
_BOXES = """() => [...document.querySelectorAll('.cornerstone-viewport-element')]
  .map(e => e.getBoundingClientRect()).map(({x, y, width, height}) => ({x, y, width, height}))"""
_POLYGONS = """() => [...document.querySelectorAll('svg.svg-layer')].map(layer => {
  const {left, top} = layer.getBoundingClientRect();
  return [...layer.querySelectorAll('polyline')]
    .map(line => [...line.points].map(p => [left + p.x, top + p.y]));
})"""


@pytest.fixture(scope="module")
def studies(cbis_files: list[Path]) -> list[Study]:
    # Before anything is computed for nothing.
    ohif_files()
    turns = list(TURNS)
    with open_model() as segmenter:
        return [
            four_views(cbis_files[4:], turns[:4], segmenter),
            # Of two patients, so that there is something to find in each of them as it is stored.
            four_views([cbis_files[n] for n in (0, 5, 2, 7)], turns[4:], segmenter),
        ]


@pytest.fixture(scope="module")
def orthanc(studies: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        for study in studies:
            for view in study.views:
                for file in (view.file, *view.results.values()):
                    orthanc.store(file)
        yield orthanc


@pytest.fixture(scope="module")
def address(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_ohif(tmp_path_factory.mktemp("ohif"), orthanc) as address:
        yield address


@pytest.fixture(scope="module")
def page() -> Iterator["Page"]:
    with browser_page(1800, 1500) as page:
        yield page


def open_study(page: "Page", address: str, study: Study, *, shown: int = 4) -> None:
    page.goto(f"{address}/viewer?StudyInstanceUIDs={study.uid}")
    page.wait_for_function(_SHOWN, arg=shown)
    for button in ("Skip all", "Confirm and hide"):
        if page.get_by_text(button).count():
            page.get_by_text(button).first.click()
    # A part of the screen that the pointer is on carries buttons.
    page.mouse.move(0, 0)


def screenshot(page: "Page") -> Screen:
    """Return the screen, as BGR, when every part of it shows something and no longer changes."""
    end, before = time.monotonic() + WAIT_MS / 1000, None
    while time.monotonic() < end:
        page.wait_for_timeout(2000)
        seen = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        if before is not None and np.array_equal(seen, before) and all_lit(page, seen):
            return seen
        before = seen
    raise AssertionError("OHIF did not show it in time")


def all_lit(page: "Page", screen: Screen) -> bool:
    return all(
        screen[int(box["y"]) :, int(box["x"]) :][: int(box["height"]), : int(box["width"])].mean()
        > 5
        for box in page.evaluate(_BOXES)
    )


def views_on(page: "Page", study: Study) -> list[tuple[View, Box, Placement]]:
    """Return each part of the screen: the view that is to hang there, where, and how."""
    views = {view.name: view for view in study.views}
    parts = []
    for name, box in zip(HUNG, page.evaluate(_BOXES), strict=True):
        shape = views[name].as_taken(views[name].pixels).shape
        parts.append((views[name], box, hung(shape, box, name[0])))
    return parts


def part_of(screen: NDArray[Any], box: Box, at: Placement) -> NDArray[Any]:
    """Cut out the part of a screen where an image stands."""
    top, left = max(box["y"], at.top), max(box["x"], at.left)
    bottom, right = 2 * box["y"] + box["height"] - top, box["x"] + box["width"]
    if left == box["x"]:
        right = at.right
    return screen[round(top) : round(bottom), round(left) : round(right)]


@pytest.mark.parametrize("number", [0, 1])
def test_four_views_hang_upright_with_masks_and_outlines_where_they_are(
    page: "Page", address: str, studies: list[Study], number: int
) -> None:
    study = studies[number]
    open_study(page, address, study)
    page.wait_for_function(_MASKS)
    with_masks = screenshot(page)
    keep(page, f"ohif-masks-{number}")
    page.keyboard.press(".")
    page.wait_for_function(_OUTLINES)
    keep(page, f"ohif-outlines-{number}")
    polygons = page.evaluate(_POLYGONS)
    page.keyboard.press(".")
    page.wait_for_function(_NEITHER)
    bare = screenshot(page)
    for (view, box, placement), drawn in zip(views_on(page, study), polygons, strict=True):
        at = checked_image(view, bare, box, placement)
        check_mask(view, with_masks, bare, box, at)
        check_outlines(view, drawn, at)


def checked_image(view: View, screen: Screen, box: Box, at: Placement) -> Placement:
    """Compare what is seen with the image as it was taken; return where it stands exactly."""
    taken = (view.as_taken(view.pixels) >> 8).astype(np.uint8)
    drawn = cv2.cvtColor(screen, cv2.COLOR_BGR2GRAY)
    wanted, seen = (part_of(it, box, at) for it in (at.warp(taken, drawn.shape), drawn))
    likeness, (across, down) = correlation(wanted, seen), shift(wanted, seen)
    tell(f"{view.name} {view.turn}: correlation {likeness:.3f}, {across:.1f} {down:.1f} off")
    assert likeness > 0.95
    # The browser lays a canvas on whole pixels of the screen.
    assert max(abs(across), abs(down)) < 1.5
    for other in (wanted[::-1], wanted[:, ::-1], wanted[::-1, ::-1]):
        assert correlation(other, seen) < likeness - 0.02
    return at.moved(across, down)


def check_mask(view: View, screen: Screen, bare: Screen, box: Box, at: Placement) -> None:
    mask = 255 * view.as_taken(view.findings.mask).astype(np.uint8)
    wanted = part_of(at.warp(mask, screen.shape[:2]) >= 128, box, at)
    blue, green, red = np.moveaxis(screen.astype(int), 2, 0)
    is_green = green - np.maximum(blue, red) > 24
    changed = np.abs(screen.astype(int) - bare.astype(int)).max(axis=2) > 24
    seen = part_of(is_green & changed, box, at)
    tell(f"{view.name} {view.turn}: mask {iou(seen, wanted):.3f}, {wanted.sum()} pixels")
    assert seen.any() == wanted.any()
    assert not wanted.any() or iou(seen, wanted) >= 0.9


def check_outlines(view: View, drawn: list[Any], at: Placement) -> None:
    """Compare each region with the polygon next to it; one more polygon is the image's edges."""
    taken = view.as_taken(view.findings.mask)
    fills = [filled(at.to_image(np.array(points, float)), taken.shape) for points in drawn]
    regions = shown_regions(view.findings)
    assert len(fills) == len(regions) + 1
    for region in regions:
        stored = np.zeros(view.findings.mask.shape, bool)
        box = region.box
        stored[box.top : box.bottom, box.left : box.right] = region.pixels
        best = max(iou(view.as_taken(stored), fill) for fill in fills)
        tell(f"{view.name} {view.turn}: outline {best:.3f}")
        assert best >= 0.9
    assert max(fill.mean() for fill in fills) > 0.99


def test_ohif_alone_does_not_load_a_segmentation_of_a_mammogram(
    page: "Page", orthanc: Orthanc, studies: list[Study], tmp_path: Path
) -> None:
    alone = (DEPLOYED / "app-config.js").read_text().replace("'/mammoseg.js'", "")
    (tmp_path / "app-config.js").write_text(alone.replace("'mammoseg', ", ""))
    with running_ohif(tmp_path, orthanc, configuration=tmp_path) as address:
        open_study(page, address, studies[0], shown=1)
        assert "ImageOrientationPatient" in page.evaluate(_LOAD_A_MASK)


def keep(page: "Page", name: str) -> None:
    """Keep a picture of the screen where `TESTS_PICTURES` says, if it does."""
    if folder := os.environ.get("TESTS_PICTURES"):
        cv2.imwrite(str(Path(folder) / f"{name}.png"), screenshot(page))
