"""Programs of other people that tests check our work against."""

import os
import shutil

import pytest


def require_program(name: str, package: str) -> str:
    """Give the path of a system program.

    Where it is missing the test is skipped by name, or fails when `MAMMOSEG_REQUIRE_ALL` is 1,
    as in CI, which installs every Debian package that a test needs.
    """
    path = shutil.which(name)
    if path is None:
        reason = f"needs {name} (Debian package {package})"
        if os.environ.get("MAMMOSEG_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
