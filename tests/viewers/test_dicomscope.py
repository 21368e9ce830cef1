"""Presentation states on the screen of DICOMscope, OFFIS's viewer of them (Debian `dicomscope`)."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.outputs.dicom.outline import shown_regions
from service.startup.models import open_model
from tests.ports import free_port
from tests.programs import program_says, require_program
from tests.viewers.screen import Placement, correlation, iou, shift, tell
from tests.viewers.study import TURNS, View, four_views

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.heavy]

WIDTH, HEIGHT = 1600, 1200
WAIT_S = 120.0

STUDY, STATES, STATE = (33, 96), (53, 128), (200, 145)
"""Where on the screen stand: the mark that opens the study's branch, that of the presentation
states' series, which is the second, and the first of them."""

_CONFIGURATION = Path("/etc/dcmtk/DICOMscope.cfg")


@contextmanager
def screen(folder: Path) -> Iterator[dict[str, str]]:
    """Run a display without a device; gives the environment of its programs."""
    program = require_program("Xvfb", "xvfb")
    read, write = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    command = [program, "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp"]
    with (folder / "xvfb.log").open("wb") as sink:
        process = subprocess.Popen(command, pass_fds=[write], stdout=sink, stderr=sink)
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield os.environ | {"DISPLAY": f":{int(number.readline())}"}
    finally:
        process.terminate()
        process.wait()


@contextmanager
def dicomscope(folder: Path, files: list[bytes], environment: dict[str, str]) -> Iterator[None]:
    """Run DICOMscope on a database of files."""
    program, database = require_program("dicomscope", "dicomscope"), folder / "database"
    database.mkdir()
    for number, file in enumerate(files):
        (database / f"{number}.dcm").write_bytes(file)
    said = program_says("dcmqridx", "dcmtk", database, *sorted(database.glob("*.dcm")))
    assert "E:" not in said, said
    settings = _CONFIGURATION.read_text("latin-1")
    settings = settings.replace("/var/lib/dcmtk/db/READWRITE", str(database))
    settings = re.sub("(?m)^MessagePort .*", f"MessagePort = {free_port()}", settings)
    (folder / "DICOMscope.cfg").write_text(settings, "latin-1")
    with (folder / "dicomscope.log").open("wb") as sink:
        process = subprocess.Popen(
            [program, "DICOMscope.cfg"], cwd=folder, env=environment, stdout=sink, stderr=sink
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def press(environment: dict[str, str], at: tuple[int, int], times: int = 1) -> None:
    program = require_program("xdotool", "xdotool")
    where = ["mousemove", *map(str, at)]
    for command in (where, ["click", "--repeat", str(times), "--delay", "80", "1"]):
        subprocess.run([program, *command], env=environment, check=True)


def picture(environment: dict[str, str]) -> NDArray[np.uint8]:
    """Return the screen in grey."""
    program = require_program("import", "imagemagick")
    done = subprocess.run(
        [program, "-window", "root", "png:-"], env=environment, capture_output=True, check=True
    )
    return cv2.imdecode(np.frombuffer(done.stdout, np.uint8), cv2.IMREAD_GRAYSCALE)


def wait_for(environment: dict[str, str], is_there: Any) -> NDArray[np.uint8]:
    """Wait until a screen that no longer changes shows something, and return it."""
    end, before = time.monotonic() + WAIT_S, None
    while time.monotonic() < end:
        seen = picture(environment)
        if before is not None and np.array_equal(seen, before) and is_there(seen):
            return seen
        before = seen
        time.sleep(1)
    raise AssertionError("DICOMscope did not show it in time")


@pytest.fixture(scope="module")
def views(cbis_files: list[Path]) -> list[View]:
    with open_model() as segmenter:
        return four_views(cbis_files[4:], list(TURNS)[:4], segmenter).views


@pytest.mark.parametrize("number", range(4), ids=list(TURNS)[:4])
def test_outlines_stand_on_the_mask(views: list[View], tmp_path: Path, number: int) -> None:
    view = views[number]
    files = [view.file, view.results["gsps"]]
    with screen(tmp_path) as environment, dicomscope(tmp_path, files, environment):
        # White, and on it the tree with the study.
        wait_for(environment, lambda seen: seen[200:1100].mean() > 250 and seen[85:105].min() < 100)
        press(environment, STUDY)
        wait_for(environment, lambda seen: seen[122:134].min() < 100)
        press(environment, STATES)
        wait_for(environment, lambda seen: seen[138:150].min() < 100)
        press(environment, STATE, times=2)
        seen = wait_for(environment, lambda seen: seen[68:1129, 1000:1330].mean() < 250)
    if folder := os.environ.get("TESTS_PICTURES"):
        cv2.imwrite(str(Path(folder) / f"dicomscope-{number}.png"), seen)
    at = checked_image(view, seen)
    check_outlines(view, seen, at)


def checked_image(view: View, seen: NDArray[np.uint8]) -> Placement:
    """Compare what is seen with the image as it is stored; return where it stands exactly."""
    rows, columns = view.pixels.shape
    left, top, right, bottom = 7, 68, 1333, 1129
    scale = min((right - left) / columns, (bottom - top) / rows)
    at = Placement(scale, left, top, left + scale * columns)
    stored = (view.pixels >> 8).astype(np.uint8)
    part = np.s_[top : round(top + scale * rows), left : round(at.right)]
    wanted, drawn = at.warp(stored, seen.shape)[part], seen[part]
    likeness, (across, down) = correlation(wanted, drawn), shift(wanted, drawn)
    tell(f"{view.name} {view.turn}: correlation {likeness:.3f}, {across:.1f} {down:.1f} off")
    assert likeness > 0.98
    assert max(abs(across), abs(down)) < 1.5
    return at.moved(across, down)


def check_outlines(view: View, seen: NDArray[np.uint8], at: Placement) -> None:
    """Compare each region with what a white line on the screen encloses, and half of that line."""
    white = (seen == 255).astype(np.uint8)
    contours, tree = cv2.findContours(white, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    holes = [hole for hole, (*_, parent) in zip(contours, tree[0], strict=True) if parent >= 0]
    fills = [
        cv2.drawContours(np.zeros_like(seen), [hole], -1, 1, cv2.FILLED)
        for hole in holes
        if cv2.contourArea(hole) > 20
    ]
    for region in shown_regions(view.findings):
        box, stored = region.box, np.zeros(view.pixels.shape, np.uint8)
        stored[box.top : box.bottom, box.left : box.right] = 255 * region.pixels
        best = max(iou(at.warp(stored, seen.shape) >= 128, fill) for fill in fills)
        tell(f"{view.name} {view.turn}: outline {best:.3f}")
        assert best >= 0.9
