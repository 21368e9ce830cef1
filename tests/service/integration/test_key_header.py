import httpx
import pytest

from service.integration.commands import SERVICE_KEY, _key_header
from service.integration.remote import Denied
from service.integration.service_client import ServiceClient
from service.terminal import unknown_variables

pytestmark = pytest.mark.unit


def test_the_follower_shows_its_key_where_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVICE_KEY, raising=False)
    assert _key_header() == {}
    monkeypatch.setenv(SERVICE_KEY, "mammoseg_x")
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401)

    transport = httpx.MockTransport(answer)
    with (
        httpx.Client(base_url="http://h", headers=_key_header(), transport=transport) as client,
        pytest.raises(Denied, match="credentials") as denied,
    ):
        ServiceClient(client).identity()
    assert asked[0].headers["Authorization"] == "Bearer mammoseg_x"
    assert "mammoseg_x" not in str(denied.value)


def test_the_keys_variable_is_known() -> None:
    assert unknown_variables({SERVICE_KEY: "mammoseg_x"}) == []
