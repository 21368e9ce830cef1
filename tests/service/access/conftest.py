from collections.abc import Iterator

import pytest

from tests.openid_providers import LocalProvider, MockServer, Provider, local_provider, mock_server
from tests.service.access.tokens import Clock


@pytest.fixture
def clock() -> Clock:
    """Seconds that pass when a test says so."""
    return Clock()


@pytest.fixture(scope="session")
def mock() -> Iterator[MockServer]:
    """The package oauth2-mock-server as a process."""
    with mock_server() as server:
        yield server


@pytest.fixture
def local() -> Iterator[LocalProvider]:
    """A provider in this process, whose documents a test may change."""
    with local_provider() as provider:
        yield provider


@pytest.fixture(params=["local", "mock"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each of both."""
    found: Provider = request.getfixturevalue(request.param)
    return found
