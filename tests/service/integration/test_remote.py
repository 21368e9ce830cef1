"""What another machine's answer means for whoever asked."""

import httpx
import pytest

from service.integration.remote import Denied, Refused, Unavailable, ask

pytestmark = pytest.mark.unit


def problem(status: int, code: str) -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, json={"code": code}, headers=headers)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (problem(500, "net-failed"), "net-failed"),
        (httpx.Response(500, json={"code": "not-ours"}), "http-500"),
        (problem(503, "busy"), "http-503"),
        (httpx.Response(502, text="<html>"), "http-502"),
        (httpx.Response(429), "http-429"),
    ],
)
def test_what_may_be_tried_again_says_why(answer: httpx.Response, reason: str) -> None:
    with pytest.raises(Unavailable) as failure:
        asked(answer)
    assert failure.value.reason == reason


def test_a_refusal_has_the_code_of_the_problem() -> None:
    with pytest.raises(Refused) as refusal:
        asked(problem(422, "intent"))
    assert refusal.value.reason == "intent"


@pytest.mark.parametrize(
    "error",
    [
        httpx.LocalProtocolError("Illegal header value b'Bearer S3CRET\\n'"),
        httpx.UnsupportedProtocol("S3CRET"),
        httpx.InvalidURL("S3CRET"),
        UnicodeEncodeError("ascii", "S3CRET\u00e4", 6, 7, "ordinal not in range"),
    ],
)
def test_what_can_never_be_sent_is_not_waited_for(error: Exception) -> None:
    def fails(_: httpx.Request) -> httpx.Response:
        raise error

    transport = httpx.MockTransport(fails)
    with (
        httpx.Client(transport=transport, base_url="http://there") as client,
        pytest.raises(Denied, match="cannot be asked") as denied,
    ):
        ask(client, "GET", "/changes")
    assert "S3CRET" not in str(denied.value)


def asked(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    with httpx.Client(transport=transport, base_url="http://there") as client:
        ask(client, "POST", "/v1/segment")
