"""Other people's frameworks: their tests are skipped by name where they are not installed."""

import os
from importlib.util import find_spec

import pytest


def require_library(module: str, package: str) -> None:
    """Skip the test without a package; fail it where `TESTS_REQUIRE_ALL` is 1, as in CI."""
    if find_spec(module) is not None:
        return
    reason = f"needs {package}"
    if os.environ.get("TESTS_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
