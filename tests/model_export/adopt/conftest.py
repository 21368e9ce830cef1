"""A view that every framework's net is shown."""

from pathlib import Path

import pytest

from tests.model_export.adopt.nets import view_file


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return view_file(tmp_path_factory.mktemp("view"))
