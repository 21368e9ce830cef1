from collections.abc import Iterator

import pytest

from tests.service.dicomweb.archive_server import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server
