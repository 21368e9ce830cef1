"""The clients in `examples/`, run as they stand, where what runs them is present."""

import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

JACKSON = [
    Path("/usr/share/java") / f"jackson-{part}.jar" for part in ("annotations", "core", "databind")
]

COMMANDS: dict[str, tuple[str, ...]] = {
    "segment.sh": ("bash", str(EXAMPLES / "segment.sh")),
    "segment.py": (sys.executable, str(EXAMPLES / "segment.py")),
    "segment.mjs": ("node", str(EXAMPLES / "segment.mjs")),
    "Segment.java": ("java", "-cp", ":".join(map(str, JACKSON)), str(EXAMPLES / "Segment.java")),
    "Segment.cs": ("dotnet", "run", "--project", str(EXAMPLES / "segment.csproj"), "--"),
}


def missing(example: str) -> str | None:
    """Return what is needed to run an example and not here."""
    needed = [COMMANDS[example][0], *(["curl", "jq"] if example == "segment.sh" else [])]
    absent = [program for program in needed if shutil.which(program) is None]
    if example == "Segment.java" and not all(jar.is_file() for jar in JACKSON):
        absent.append("Jackson (package libjackson2-databind-java)")
    return ", ".join(absent) or None


FURTHER = [
    pytest.param(name, marks=pytest.mark.long) if name.startswith("Segment.") else name
    for name in COMMANDS
]
"""Those that are compiled first take seconds, so further questions are put to them at length."""


@pytest.fixture(params=COMMANDS)
def example(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if (what := missing(name)) is not None:
        pytest.skip(f"{name} needs {what}")
    return name


def run(example: str, url: str, file: Path, mask: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMANDS[example], url, str(file), str(mask)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_every_example_is_run_by_these_tests() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {
        "segment.csproj"
    } == COMMANDS.keys()


def test_an_example_reads_score_and_regions_and_saves_the_mask(
    example: str, service: Service, mammogram: Path, tmp_path: Path
) -> None:
    ended = run(example, service.url, mammogram, tmp_path / "mask.png")
    assert ended.returncode == 0, ended.stderr
    answer = httpx.post(f"{service.url}/v1/segment", content=mammogram.read_bytes(), timeout=60)
    found = answer.json()
    score, threshold = found["has_mask"]["score"], found["has_mask"]["threshold"]
    selected = [region for region in found["regions"] if region["selected"]]
    # Languages write a whole number in two ways.
    assert ended.stdout.replace("p 1.0\n", "p 1\n").splitlines() == [
        f"score {score}, threshold {threshold}",
        *(
            f"region {','.join(map(str, region['bbox']))} p {region['max_probability']:g}"
            for region in selected
        ),
        *(f"warning {one['code']}: {one['detail']}" for one in found["warnings"]),
    ]
    assert selected
    with Pillow.open(tmp_path / "mask.png") as png:
        mask = np.asarray(png)
    assert mask.shape == (found["image"]["rows"], found["image"]["columns"])
    assert mask.sum() == sum(found["mask"]["counts"][1::2]) > 0


@pytest.mark.parametrize("example", FURTHER, indirect=True)
def test_an_example_says_what_the_problem_is(
    example: str, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "ct.dcm").write_bytes(dicom_file(phantom(12), Modality="CT"))
    ended = run(example, service.url, tmp_path / "ct.dcm", tmp_path / "mask.png")
    assert ended.returncode == 1
    assert "422 modality-not-accepted: The image's modality is not accepted." in ended.stderr
    assert "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    assert not (tmp_path / "mask.png").exists()


def test_the_shells_example_sends_no_file_that_is_missing(service: Service, tmp_path: Path) -> None:
    if (what := missing("segment.sh")) is not None:
        pytest.skip(f"segment.sh needs {what}")
    ended = run("segment.sh", service.url, tmp_path / "absent.dcm", tmp_path / "mask.png")
    assert ended.returncode == 2
    assert "absent.dcm is no file that can be read" in ended.stderr
    assert not (tmp_path / "mask.png").exists()


class _BusyAtFirst(BaseHTTPRequestHandler):
    """Answers 503 once, with Retry-After: 2, and passes on to the service what comes then."""

    service: str
    times: list[float]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.times.append(time.monotonic())
        if len(self.times) == 1:
            status, content, kind = 503, b'{"code": "busy"}', "application/problem+json"
        else:
            answer = httpx.post(f"{self.service}{self.path}", content=body, timeout=60)
            status, content, kind = answer.status_code, answer.content, "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 503:
            self.send_header("Retry-After", "2")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("example", FURTHER, indirect=True)
def test_an_example_comes_again_when_a_busy_service_says(
    example: str, service: Service, mammogram: Path, tmp_path: Path
) -> None:
    times: list[float] = []
    handler = type("Handler", (_BusyAtFirst,), {"service": service.url, "times": times})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{busy.server_address[1]}"
        ended = run(example, url, mammogram, tmp_path / "mask.png")
        busy.shutdown()
    assert ended.returncode == 0, ended.stderr
    assert len(times) == 2
    assert times[1] - times[0] >= 1.9
    assert (tmp_path / "mask.png").is_file()
