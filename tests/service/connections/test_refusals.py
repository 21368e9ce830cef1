import pytest
from structlog.testing import capture_logs

from service.connections.refusals import QUIET_S, ConnectionRefusals

pytestmark = pytest.mark.unit


def test_a_crowd_of_connections_is_counted_one_by_one_and_logged_now_and_then() -> None:
    counted, now = list[str](), [0.0]
    refusals = ConnectionRefusals(counted.append, lambda: now[0])
    with capture_logs() as entries:
        for _ in range(1000):
            refusals.too_many("connections", "a")
            now[0] += QUIET_S / 512
    assert counted == ["connections"] * 1000
    assert [entry["refused"] for entry in entries] == [1, 512]
    assert {(entry["log_level"], entry["code"]) for entry in entries} == {
        ("warning", "connections")
    }


def test_bytes_that_are_no_request_are_logged_each() -> None:
    counted = list[str]()
    refusals = ConnectionRefusals(counted.append)
    with capture_logs() as entries:
        for request_id in ("a", "b"):
            refusals.refused("http-broken", request_id)
    assert counted == ["http-broken", "http-broken"]
    assert [entry["request_id"] for entry in entries] == ["a", "b"]
