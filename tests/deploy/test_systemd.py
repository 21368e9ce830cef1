"""deploy/systemd: what the unit forbids, and that the service does all its work under it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.exit_status import DEVICE_FAILED, START_FAILED, TRY_AGAIN
from service.settings import Settings
from service.system.server_process import serve_command
from tests.e2e.conftest import running
from tests.ports import free_port
from tests.programs import require_bwrap, require_program, skip_or_fail

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "mammoseg.service"
USER = 10001


def options(name: str, unit: Path = UNIT) -> list[str]:
    """Return what each line of an option says."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def environment() -> dict[str, str]:
    words = " ".join(options("Environment")).split()
    return dict(word.split("=", 1) for word in words)


def calls_of_group(group: str) -> set[str]:
    analyze = require_program("systemd-analyze", "systemd")
    said = subprocess.run(
        [analyze, "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True
    ).stdout
    names = {line.strip() for line in said.splitlines()[1:] if line.startswith("    ")}
    names = {name for name in names if not name.startswith("#")}
    groups = {name for name in names if name.startswith("@")}
    return (names - groups).union(*map(calls_of_group, groups))


def allowed_calls(lines: list[str]) -> set[str]:
    """Return the calls that SystemCallFilter= leaves, line after line (systemd.exec(5))."""
    allowed = calls_of_group("@default")
    for line in lines:
        names = line.removeprefix("~").split()
        found: set[str] = set()
        for name in names:
            found |= calls_of_group(name) if name.startswith("@") else {name}
        allowed = allowed - found if line.startswith("~") else allowed | found
    return allowed


@pytest.mark.integration
@pytest.mark.parametrize("drop_in", [None, "gpu.conf"])
def test_systemd_finds_little_that_the_unit_leaves_open(
    tmp_path: Path, drop_in: str | None
) -> None:
    analyze = require_program("systemd-analyze", "systemd")
    text = UNIT.read_text("utf-8")
    if drop_in:
        text = text.replace("[Install]", (FOLDER / drop_in).read_text("utf-8") + "[Install]")
    (tmp_path / UNIT.name).write_text(text, "utf-8")
    # A level of 29 is an exposure of 2.9.
    command = [analyze, "security", "--offline=true", "--threshold=29", "--no-pager"]
    done = subprocess.run([*command, tmp_path / UNIT.name], capture_output=True, text=True)
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout


@pytest.mark.integration
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    analyze = require_program("systemd-analyze", "systemd")
    here = UNIT.read_text("utf-8").replace("/opt/mammoseg/bin/mammoseg", sys.executable)
    # The user is made by mammoseg.sysusers.
    here = here.replace("User=mammoseg", "User=root").replace("Group=mammoseg", "Group=root")
    drop_in = tmp_path / f"{UNIT.name}.d" / "gpu.conf"
    drop_in.parent.mkdir()
    shutil.copy(FOLDER / "gpu.conf", drop_in)
    (tmp_path / UNIT.name).write_text(here, "utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", tmp_path / UNIT.name],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_the_units_settings_are_settings_and_fit_its_bounds() -> None:
    given = {
        name.removeprefix("MAMMOSEG_").lower(): value
        for name, value in environment().items()
        if name.startswith("MAMMOSEG_")
    }
    assert given.keys() <= Settings.model_fields.keys()
    default = {name: field.default for name, field in Settings.model_fields.items()}
    (stop,), (memory,) = options("TimeoutStopSec"), options("MemoryMax")
    # Deliveries under way have five seconds more.
    assert int(stop) > default["lame_duck_s"] + default["drain_s"] + 5
    assert int(memory.removesuffix("M")) > int(given["memory_mib"])
    (descriptors,) = options("LimitNOFILE")
    assert int(descriptors) > 2 * default["max_connections"] + 256
    assert given["inbox"] == str(default["inbox"]) == f"/var/lib/{options('StateDirectory')[0]}"
    assert options("StateDirectoryMode") == ["0700"]
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert f"`INFERENCE_LOG=/var/log/{options('LogsDirectory')[0]}/" in page
    assert options("LogsDirectoryMode") == ["0700"]


@pytest.mark.integration
def test_a_reload_is_told_to_the_service_alone_and_to_no_scp_which_would_end_by_it() -> None:
    assert options("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    (script,) = re.findall(r"`sed '([^']*)' deploy/systemd/mammoseg\.service", page)
    scp = subprocess.run(["sed", script, UNIT], capture_output=True, text=True, check=True).stdout
    assert "bin/mammoseg scp\n" in scp and "ExecReload" not in scp


@pytest.mark.integration
def test_a_stop_reaches_the_service_before_its_readers_and_a_wrong_setting_does_not_loop() -> None:
    assert options("KillMode") == ["mixed"]
    assert options("OOMPolicy") == ["continue"]
    assert options("Restart") == ["on-failure"]
    assert options("RestartPreventExitStatus") == [str(START_FAILED)]
    assert options("RestartForceExitStatus") == ["SIGHUP"]
    assert START_FAILED not in (DEVICE_FAILED, TRY_AGAIN)
    assert options("StartLimitIntervalSec") == ["0"]


def opened(paths: set[str]) -> list[str]:
    """Return how bubblewrap lets others read what is needed of a closed home."""
    home, made = Path("/root"), ["--perms", "0755", "--tmpfs", "/root"]
    for path in (Path(path) for path in sorted(paths)):
        if home in path.parents:
            for parent in reversed(path.parents):
                made += ["--perms", "0755", "--dir", str(parent)] if home in parent.parents else []
            made += ["--ro-bind", str(path), str(path)]
    return made


@contextmanager
def confined(folder: Path, calls: set[str]) -> Iterator[str]:
    """Run the service as the unit does, as far as that goes without systemd; gives its address.

    Its user, no capabilities, nothing to be written but its state, no processes of others to be
    seen, no memory that is written and run, its address families and its system calls.
    """
    bwrap = require_bwrap()
    if os.geteuid():
        skip_or_fail("needs root")
    state, port = folder / "state", free_port()
    state.mkdir(mode=0o700)
    os.chown(state, USER, USER)
    (names,) = options("RestrictAddressFamilies")
    families = [int(getattr(socket, name)) for name in names.split()]
    closed = [bwrap, "--die-with-parent", "--unshare-ipc", "--unshare-pid"]
    closed += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    closed += ["--bind", str(state), "/mnt"]
    closed += opened({sys.base_prefix, sys.prefix, str(ROOT)})
    for capability in ("SETUID", "SETGID", "SYS_ADMIN"):
        closed += ["--cap-add", f"CAP_{capability}"]
    confine = [sys.executable, "-m", "tests.deploy.confined", str(USER)]
    confine += [",".join(map(str, families)), ",".join(sorted(calls))]
    settings = environment() | {"MAMMOSEG_INBOX": "/mnt"}
    settings |= {"MAMMOSEG_DESTINATIONS": f"http://127.0.0.1:{free_port()}"}
    command = [*closed, "--chdir", str(ROOT), *confine, *serve_command(port)]
    with running(command, port, folder / "service.log", settings):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.e2e
@pytest.mark.slow
def test_the_service_does_all_its_work_under_what_the_unit_forbids(
    tmp_path: Path, cbis_files: list[Path]
) -> None:
    with confined(tmp_path, allowed_calls(options("SystemCallFilter"))) as url:
        for result in ("json", "overlay", "seg", "sr"):
            answer = httpx.post(
                f"{url}/v1/segment",
                params={"output": result},
                content=cbis_files[0].read_bytes(),
                timeout=120,
            )
            assert answer.status_code == 200, answer.text
        metrics = httpx.get(f"{url}/metrics", timeout=30).text
        stored = list((tmp_path / "state").iterdir())
    assert "process_start_time_seconds" in metrics
    assert "inbox.sqlite3" in {path.name for path in stored}
    lines = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines()]
    # Every part of the readers' own walls stands.
    assert [line for line in lines if line["event"] == "reader-sandbox"] == []
    assert [line for line in lines if line.get("level") in ("warning", "error")] == []


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.long
def test_a_unit_that_forbids_the_readers_own_walls_is_told_by_the_service(tmp_path: Path) -> None:
    calls = allowed_calls(options("SystemCallFilter")[:2])
    with confined(tmp_path, calls):
        pass
    assert "reader-sandbox" in (tmp_path / "service.log").read_text()
