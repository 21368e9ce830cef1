"""`requirements/install`, which `make demo` begins with, on machines that lack something.

A shell script stands for Python: it makes the folder of a virtual environment, and its pip says
what pip says on such a machine.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.waiting import comes_true

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
INSTALL = ROOT / "requirements" / "install"

TOOLS = (
    *("awk", "cat", "cp", "date", "df", "dirname", "grep", "mkdir", "rm", "sh", "sleep", "tail"),
    *("touch", "wc"),
)

PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) exit {too_old} ;;
  *platform*) echo {version} ;;
  *ensurepip*) exit {lacks_venv} ;;
  --version) echo Python {version} ;;
  '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *'--target '*) {fetches_uv} ;;
  *'config get '*) {says_index} ;;
  *'pip '*) cat '{pip_says}'; exit {pip_status} ;;
esac
"""

UV = """mkdir -p "$VENV/uv/bin" && cp '{uv}' "$VENV/uv/bin/uv" """


@dataclass(frozen=True)
class Machine:
    """A PATH of its own with a Python that is only said to be one."""

    folder: Path

    def has_python(
        self,
        name: str = "python3",
        *,
        version: str = "3.11.2",
        too_old: bool = False,
        lacks_venv: bool = False,
        pip_says: str = "",
        pip_fails: bool = False,
        uv: str = "",
        index: str = "",
    ) -> None:
        words, script = self.folder / f"{name}.txt", self.folder / "uv"
        words.write_text(pip_says)
        script.write_text(f"#!/bin/sh\n{uv}\n")
        script.chmod(0o755)
        text = PYTHON.format(
            version=version,
            too_old=int(too_old),
            lacks_venv=int(lacks_venv),
            pip_says=words,
            pip_status=int(pip_fails),
            fetches_uv=UV.format(uv=script) if uv else "exit 1",
            says_index=f"echo {index}" if index else "exit 1",
        )
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def install(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        given = {"PATH": str(self.folder / "bin"), "VENV": str(self.folder / "venv")} | environment
        return subprocess.run(
            ["/bin/sh", str(INSTALL), "demo"], env=given, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    # What every system has, but no Python.
    for tool in TOOLS:
        found = next(
            Path(folder) / tool for folder in ("/usr/bin", "/bin") if Path(folder, tool).exists()
        )
        os.symlink(found, tmp_path / "bin" / tool)
    return Machine(tmp_path)


def refusal(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the one sentence that a failed installation ends with."""
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("mammoseg: ")
    return last


def test_an_installation_takes_a_few_lines_and_names_its_log(machine: Machine) -> None:
    machine.has_python(pip_says="Collecting numpy\n" * 300)
    result = machine.install()
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) <= 6 and result.stderr == ""
    log = machine.folder / "venv" / "install.log"
    assert str(log) in result.stdout
    assert log.read_text().count("Collecting numpy") == 600
    assert (machine.folder / "venv" / "installed-demo").is_file()


def test_uv_installs_what_is_locked_and_does_not_stay(machine: Machine) -> None:
    machine.has_python(pip_says="by pip\n", uv='echo "by uv: $* index ${UV_DEFAULT_INDEX:-none}"')
    assert machine.install().returncode == 0
    assert not (machine.folder / "venv" / "uv").exists()
    log = (machine.folder / "venv" / "install.log").read_text()
    (line,) = (line for line in log.splitlines() if line.startswith("by uv"))
    wanted = "--require-hashes --no-deps --requirement requirements/demo.txt --compile-bytecode"
    assert wanted in line and line.endswith("index none")
    # Mammoseg itself is pip's.
    assert log.count("by pip") == 1


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, "https://pip.conf/simple"),
        ({"PIP_INDEX_URL": "https://pip/simple"}, "https://pip/simple"),
        ({"PIP_INDEX_URL": "https://pip/simple", "UV_DEFAULT_INDEX": "https://uv"}, "https://uv"),
    ],
)
def test_uv_is_told_of_the_index_that_pip_is_told_of(
    machine: Machine, environment: dict[str, str], wanted: str
) -> None:
    machine.has_python(uv='echo "index $UV_DEFAULT_INDEX"', index="https://pip.conf/simple")
    assert machine.install(**environment).returncode == 0
    assert f"index {wanted}\n" in (machine.folder / "venv" / "install.log").read_text()


def test_pip_that_compiles_nothing_is_followed_by_uv(machine: Machine) -> None:
    machine.has_python(uv='echo "by uv: $*"')
    assert machine.install(PIP_COMPILE="0").returncode == 0
    assert "demo.txt --no-compile\n" in (machine.folder / "venv" / "install.log").read_text()


def test_where_uv_does_not_come_to_an_end_pip_installs(machine: Machine) -> None:
    machine.has_python(pip_says="by pip\n", uv="echo unknown index; exit 2")
    assert machine.install().returncode == 0
    log = (machine.folder / "venv" / "install.log").read_text()
    assert "unknown index" in log and log.count("by pip") == 2


def test_without_python_it_says_how_to_get_one(machine: Machine) -> None:
    said = refusal(machine.install())
    assert "there is no python3 here" in said and "apt install python3" in said


def test_an_old_python_is_named_with_its_version(machine: Machine) -> None:
    machine.has_python(version="3.9.18", too_old=True)
    said = refusal(machine.install())
    assert "Python 3.11 or newer is needed, and python3 is 3.9.18" in said and "PYTHON=" in said


def test_a_newer_python_beside_an_old_one_is_taken(machine: Machine) -> None:
    machine.has_python(version="3.9.18", too_old=True)
    machine.has_python("python3.12", version="3.12.1")
    result = machine.install()
    assert result.returncode == 0 and "with Python 3.12.1" in result.stdout


def test_a_python_that_was_asked_for_is_not_replaced_by_another(machine: Machine) -> None:
    machine.has_python()
    machine.has_python("python3.8", version="3.8.1", too_old=True)
    assert "python3.8 is 3.8.1" in refusal(machine.install(PYTHON="python3.8"))


def test_an_environment_is_kept_until_another_python_is_asked_for(machine: Machine) -> None:
    machine.has_python()
    assert "Making" in machine.install().stdout
    assert "Making" not in machine.install().stdout
    machine.has_python("python3.12", version="3.12.1")
    assert "with Python 3.12.1" in machine.install(PYTHON="python3.12").stdout
    machine.has_python("python3.8", version="3.8.1", too_old=True)
    assert "python3.8 is 3.8.1" in refusal(machine.install(PYTHON="python3.8"))


def test_an_interruption_ends_what_runs_and_says_how_to_go_on(machine: Machine) -> None:
    machine.has_python()
    python = machine.folder / "bin" / "python3"
    python.write_text(
        python.read_text().replace("*'pip '*)", "*'pip '*) echo here $$; exec sleep 600;;\n *'x'*)")
    )
    given = {"PATH": str(machine.folder / "bin"), "VENV": str(machine.folder / "venv")}
    running = subprocess.Popen(
        ["/bin/sh", str(INSTALL)], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    log = machine.folder / "venv" / "install.log"
    deadline = time.monotonic() + 30
    while "here" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 1 and b"interrupted; run it again to go on" in said
    pip = int(log.read_text().rpartition("here ")[2])
    assert comes_true(lambda: not is_running(pip))


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_python_without_venv_is_said_to_lack_it(machine: Machine) -> None:
    machine.has_python(lacks_venv=True)
    assert "has no venv module" in refusal(machine.install())


@pytest.mark.parametrize(
    ("pip_says", "advice"),
    [
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...: Failed to"
            " establish a new connection: [Errno -3] Temporary failure in name resolution')'\n"
            "ERROR: Could not find a version that satisfies the requirement numpy (from: none)\n"
            "ERROR: No matching distribution found for numpy",
            "connect to the network",
        ),
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "free some space",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 30] Read-only file system",
            "cannot write",
        ),
        ("ERROR: No matching distribution found for numpy==2.3.1", "lacks a package"),
        ("error: something else", "this step failed"),
    ],
)
def test_what_pip_stumbled_over_becomes_a_sentence_that_names_the_log(
    machine: Machine, pip_says: str, advice: str
) -> None:
    machine.has_python(pip_says=pip_says, pip_fails=True)
    said = refusal(machine.install())
    assert advice in said and str(machine.folder / "venv" / "install.log") in said
    assert not (machine.folder / "venv" / "installed-demo").exists()


def test_an_earlier_failure_is_not_taken_for_this_one(machine: Machine) -> None:
    machine.has_python(pip_says="[Errno 28] No space left on device", pip_fails=True)
    refusal(machine.install())
    (machine.folder / "venv" / "bin" / "python").unlink()
    machine.has_python(pip_says="error: something else", pip_fails=True)
    assert "this step failed" in refusal(machine.install())


def test_a_place_that_cannot_be_written_is_said(machine: Machine) -> None:
    machine.has_python()
    said = refusal(machine.install(VENV="/proc/venv"))
    assert "cannot write to /proc/venv" in said and "VENV=" in said


def test_a_disk_without_room_is_noticed_before_anything_is_fetched(machine: Machine) -> None:
    machine.has_python()
    df = machine.folder / "bin" / "df"
    df.unlink()
    df.write_text("#!/bin/sh\necho head\necho /dev/x 1000000 900000 102400 90% /\n")
    df.chmod(0o755)
    said = refusal(machine.install())
    assert "100 are free" in said and not (machine.folder / "venv" / "bin").exists()


def test_make_says_the_same(machine: Machine) -> None:
    os.symlink("/usr/bin/make", machine.folder / "bin" / "make")
    result = subprocess.run(
        ["make", "-C", str(ROOT), "demo", f"VENV={machine.folder / 'venv'}"],
        env={"PATH": str(machine.folder / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert "mammoseg: Python 3.11 or newer is needed" in result.stderr
