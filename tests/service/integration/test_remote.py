"""What another machine's answer means for whoever asked."""

import httpx
import pytest

from service.integration.remote import Refused, Unavailable, ask

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


def asked(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    with httpx.Client(transport=transport, base_url="http://there") as client:
        ask(client, "POST", "/v1/segment")
