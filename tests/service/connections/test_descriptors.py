"""As many connections as there are descriptors for."""

import resource

import pytest
from structlog.testing import capture_logs

from service.connections.server import OTHER_DESCRIPTORS, allow_descriptors

pytestmark = pytest.mark.unit


class System:
    """Allows so many descriptors, softly and at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
        self.limit = (soft, hard)
        monkeypatch.setattr(resource, "getrlimit", lambda _: self.limit)
        monkeypatch.setattr(resource, "setrlimit", self.allow)

    def allow(self, _: int, limit: tuple[int, int]) -> None:
        self.limit = limit


@pytest.mark.parametrize("hard", [4096, resource.RLIM_INFINITY])
def test_where_the_system_allows_enough_the_bound_stays(
    hard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(monkeypatch, 1024, hard)
    assert allow_descriptors(1000) == 1000
    assert system.limit == (2000 + 250 + OTHER_DESCRIPTORS, hard)


@pytest.mark.parametrize("hard", [64, 256, 1024, 2048])
def test_where_it_does_not_the_bound_is_what_fits_and_the_log_says_so(
    hard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(monkeypatch, 64, hard)
    with capture_logs() as logs:
        connections = allow_descriptors(1000)
    assert system.limit == (hard, hard)
    # With its handshakes, and half for the rest of a small allowance.
    assert 1 <= 2 * connections + connections // 4 <= hard - min(OTHER_DESCRIPTORS, hard // 2)
    (line,) = logs
    assert (line["event"], line["connections"]) == ("few-descriptors", connections)
