import httpx
import pytest
import typer

from service.integration.commands import (
    PASSWORD,
    SERVICE_KEY,
    USERNAME,
    _credentials,
    _key_header,
    _modalities,
    _server,
)
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


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\t{}"])
def test_white_space_around_a_secret_is_none_of_it(
    monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    for name in (SERVICE_KEY, USERNAME, PASSWORD):
        monkeypatch.setenv(name, around.format("mammoseg_x"))
    assert _key_header() == {"Authorization": "Bearer mammoseg_x"}
    assert _credentials(USERNAME, PASSWORD) == ("mammoseg_x", "mammoseg_x")
    assert _server("--orthanc", around.format("http://h:1")) == "http://h:1"


@pytest.mark.parametrize("key", ["", "\n", "m\u00e4", "two words", "two\nlines", "\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    monkeypatch.setenv(SERVICE_KEY, key)
    with pytest.raises(typer.Exit):
        _key_header()
    said = capsys.readouterr().err
    assert SERVICE_KEY in said
    assert not key.strip() or key not in said


@pytest.mark.parametrize("url", ["", "127.0.0.1:8042", "ftp://h", "http://", "http://a\nb", "h"])
def test_what_is_no_url_of_a_server_is_refused_and_not_waited_for(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    with pytest.raises(typer.Exit):
        _server("--orthanc", url)
    assert "--orthanc takes a URL" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["mg", "MG;CR", "", " , "])
def test_modalities_that_no_image_can_have_are_refused(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert _modalities("MG, CR") == {"MG", "CR"}
    with pytest.raises(typer.Exit):
        _modalities(text)
    assert "--modalities" in capsys.readouterr().err
