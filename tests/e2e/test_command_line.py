"""`mammoseg` as a program: however it ends, a sentence and an exit status, never a traceback."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let children hear Ctrl-C: what a shell starts in the background ignores it, with its own."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


MAMMOSEG = (
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'mammoseg'; from service.cli import main; main()",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    settings = {"MODEL": str(model), "DEVICE": "cpu", "READERS": "1", "RUNNERS": "1"}
    return os.environ | {f"MAMMOSEG_{name}": value for name, value in settings.items()}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "study"
    folder.mkdir()
    file = dicom_file(phantom(12, rows=640, columns=512), ImagerPixelSpacing=[0.2, 0.2])
    for number in range(20):
        (folder / f"{number:02}.dcm").write_bytes(file)
    return folder


def run(
    environment: dict[str, str], *arguments: object, **options: object
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*MAMMOSEG, *map(str, arguments)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
        **({"stdout": subprocess.PIPE} | options),  # type: ignore[call-overload]
    )


def is_told(ended: "subprocess.CompletedProcess[str]", status: int, sentence: str) -> None:
    assert ended.returncode == status, ended.stderr
    assert sentence in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        pytest.param(("segment", "--help"), marks=pytest.mark.long),
        ("segment", "FILE", "--out", "OUT"),
        pytest.param(("model", "info"), marks=pytest.mark.long),
    ],
)
def test_a_reader_that_goes_away_is_no_traceback(
    environment: dict[str, str], study: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    given = [
        {"FILE": str(study / "00.dcm"), "OUT": str(tmp_path)}.get(word, word) for word in arguments
    ]
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(environment, *given, stdout=writer)
    os.close(writer)
    assert ended.returncode in (1, 141), ended.stderr
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr
    if "FILE" in arguments:
        is_told(ended, 141, "nobody reads the output any more")
        assert (tmp_path / "00.json").is_file()


@pytest.mark.parametrize(
    "closed",
    [
        *(pytest.param(one, marks=pytest.mark.long) for one in ("<&-", ">&-", "2>&-")),
        "<&- >&- 2>&-",
    ],
)
def test_streams_that_are_closed_take_nothing_along(
    environment: dict[str, str], study: Path, tmp_path: Path, closed: str
) -> None:
    command = [*MAMMOSEG, "segment", str(study / "00.dcm"), "absent", "--out", str(tmp_path)]
    shell = ["bash", "-c", f'exec "$@" {closed}', "bash", *command]
    ended = subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "00.json").read_text().startswith("{")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("model", "info"),
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in (("model", "verify"), ("--version",))
        ),
    ],
)
def test_an_output_that_is_full_is_said(
    environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    with open("/dev/full", "w") as full:
        is_told(run(environment, *arguments, stdout=full), 4, "No space left on device")


# Within this process `test_ended_runs` has it each time.
@pytest.mark.long
def test_a_disk_that_is_full_is_said_and_what_is_there_is_whole(
    environment: dict[str, str], study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".00-overlay.png.partial").symlink_to("/dev/full")
    ended = run(environment, "segment", study / "00.dcm", "--out", out)
    said = "No space left on device; once that is over, the same command goes on"
    is_told(ended, 4, f"cannot be written: {said}")
    assert not (out / "00-overlay.png").exists()
    assert not list(out.glob(".*.partial"))
    is_told(run(environment, "segment", study / "00.dcm", "--out", out), 0, "")


@contextmanager
def begun(environment: dict[str, str], study: Path, out: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run `segment` until its first image is done."""
    with subprocess.Popen(
        [*MAMMOSEG, "segment", str(study), "--out", str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until = time.monotonic() + 120
        done = out / ".mammoseg.jsonl"
        # Before that come lines that claim names, without a score.
        while not (done.is_file() and '"score"' in done.read_text()) and time.monotonic() < until:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.01)
        yield process


def _whole_group(process: "subprocess.Popen[str]") -> None:
    # As a terminal does on Ctrl-C: the readers get it, too.
    os.killpg(process.pid, signal.SIGINT)


def _terminated(process: "subprocess.Popen[str]") -> None:
    process.terminate()


def _killed(process: "subprocess.Popen[str]") -> None:
    process.kill()


@pytest.mark.parametrize(
    ("end", "status", "sentence"),
    [
        (_whole_group, 130, "mammoseg: interrupted; the same command goes on"),
        pytest.param(_terminated, 143, "", marks=pytest.mark.long),
        pytest.param(_killed, -9, "", marks=pytest.mark.long),
    ],
)
def test_an_ended_run_goes_on_where_it_stopped(
    environment: dict[str, str],
    study: Path,
    tmp_path: Path,
    end: Callable[["subprocess.Popen[str]"], None],
    status: int,
    sentence: str,
) -> None:
    out = tmp_path / "out"
    with begun(environment, study, out) as process:
        end(process)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == status, stderr
    assert "Traceback" not in stderr
    assert sentence in stderr
    assert not (out / "scores.csv").exists()
    ended = run(environment, "segment", study, "--out", out)
    is_told(ended, 0, "")
    kept = re.search(r"(\d+) segmented.* (\d+) were done before", ended.stdout)
    assert kept is not None, ended.stdout
    assert int(kept[1]) + int(kept[2]) == 20 and int(kept[2]) >= 1
    assert len((out / "scores.csv").read_text().splitlines()) == 21


def test_ctrl_c_ends_the_service_without_a_traceback(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*MAMMOSEG, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while '"ready"' not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def on_a_terminal(environment: dict[str, str], *arguments: object) -> tuple[int, str]:
    """Run a command on a terminal of 100 columns; return its status and all it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MAMMOSEG, *map(str, arguments)],
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            piece = os.read(ours, 2**16)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(), shown.decode()


@pytest.mark.long
def test_a_terminal_sees_how_far_it_is_and_no_colour_is_respected(
    environment: dict[str, str], study: Path, tmp_path: Path
) -> None:
    few = [study / f"{number:02}.dcm" for number in range(4)]
    status, shown = on_a_terminal(environment, "segment", *few, "--out", tmp_path / "a")
    assert status == 0
    assert "4/4" in shown and "images/s" in shown and re.search(r"\d:\d\d", shown)
    assert "\x1b[3" in shown
    plain = {name: value for name, value in environment.items() if name != "FORCE_COLOR"}
    status, shown = on_a_terminal(
        plain | {"NO_COLOR": "1"},
        "segment",
        study / "00.dcm",
        "absent.dcm",
        "--out",
        tmp_path / "b",
    )
    assert status == 1
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|9\d)(?:;\d+)*m", shown)


@pytest.mark.long
def test_an_ascii_terminal_gets_what_it_can_show(
    environment: dict[str, str], study: Path, tmp_path: Path
) -> None:
    file = tmp_path / "Übung.dcm"
    file.write_bytes((study / "00.dcm").read_bytes())
    ascii_only = environment | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    is_told(run(ascii_only, "segment", file, "--out", tmp_path / "out"), 0, "")
