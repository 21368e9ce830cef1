import time
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from typing import Any

import anyio
import httpx
import pytest

from mammoseg.client import (
    AnswerBroken,
    AsyncClient,
    Busy,
    DeviceFailed,
    RetryPolicy,
    SegmentationResult,
    ServiceFailed,
    ServiceUnreachable,
)
from mammoseg.client.synchronous import with_key
from tests.mammoseg.client.scripted import Script, problem_answer, result_document

pytestmark = pytest.mark.unit


def answer() -> httpx.Response:
    return httpx.Response(200, json=result_document())


def busy(retry_after: str = "3") -> httpx.Response:
    return problem_answer(503, "busy", **{"Retry-After": retry_after})


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    script = Script((busy("3"), busy("7"), answer()))
    with script.client() as client:
        assert client.segment(b"image").has_mask.score == 0.75
    assert script.pauses_s == [3.0, 7.0]
    assert [request.content for request in script.requests] == [b"image"] * 3


def test_the_async_client_does_the_same() -> None:
    script = Script((busy("3"), answer()))

    async def ask() -> SegmentationResult:
        transport = httpx.MockTransport(script)
        async with AsyncClient("http://service", transport=transport, sleep=script.sleep) as client:
            return await client.segment(b"image")

    assert anyio.run(ask).has_mask.score == 0.75
    assert script.pauses_s == [3.0]


def test_a_date_in_retry_after_is_understood() -> None:
    script = Script((busy(formatdate(time.time() + 30, usegmt=True)), answer()))
    script.client().segment(b"image")
    assert 27 < script.pauses_s[0] <= 30


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "nan", "inf", "9" * 400])
def test_nonsense_in_retry_after_is_waited_for_as_if_it_were_not_there(text: str) -> None:
    script = Script((busy(text), answer()))
    script.client().segment(b"image")
    assert 0.25 <= script.pauses_s[0] <= 0.5


@pytest.mark.parametrize("error", [httpx.LocalProtocolError("no"), httpx.UnsupportedProtocol("no")])
def test_what_can_never_be_sent_is_not_tried_again(error: httpx.TransportError) -> None:
    script = Script((error, answer()))
    with pytest.raises(ServiceUnreachable):
        script.client().segment(b"image")
    assert script.pauses_s == []


def test_a_key_that_no_header_can_hold_is_refused_and_not_quoted() -> None:
    for key in ("", "\n", "m\u00e4", "two words", "a\nb"):
        with pytest.raises(ValueError, match="visible ASCII") as refused:
            with_key({}, key)
        assert not key.strip() or key not in str(refused.value)
    assert with_key({}, "key\r\n")["headers"]["Authorization"] == "Bearer key"


def test_tries_are_bounded() -> None:
    script = Script((busy("1"),))
    with pytest.raises(Busy) as error:
        script.client(retry=RetryPolicy(tries=3)).segment(b"image")
    assert (len(script.requests), script.pauses_s) == (3, [1.0, 1.0])
    assert (error.value.code, error.value.retry_after_s) == ("busy", 1.0)


def test_who_is_told_to_wait_longer_than_allowed_does_not_wait_at_all() -> None:
    script = Script((problem_answer(503, "device-failed", **{"Retry-After": "3600"}),))
    with pytest.raises(DeviceFailed) as error:
        script.client(retry=RetryPolicy(longest_wait_s=60)).segment(b"image")
    assert (len(script.requests), script.pauses_s) == (1, [])
    assert error.value.retry_after_s == 3600.0


def test_a_proxy_without_a_service_behind_it_is_asked_again_and_told_of() -> None:
    script = Script((httpx.Response(502, text="<html>Bad Gateway</html>"),))
    with pytest.raises(ServiceFailed, match="502 http-502"):
        script.client(retry=RetryPolicy(tries=2)).segment(b"image")
    assert len(script.requests) == 2


def test_a_broken_connection_is_tried_again_and_a_late_answer_is_not() -> None:
    script = Script((httpx.RemoteProtocolError("left"), httpx.ConnectError("no"), answer()))
    assert script.client().segment(b"image").gated is False
    late = Script((httpx.ReadTimeout("late"),))
    with pytest.raises(ServiceUnreachable, match="in time"):
        late.client().segment(b"image")
    assert len(late.requests) == 1


def test_readiness_is_asked_once() -> None:
    script = Script((problem_answer(503, "draining"),))
    assert script.client().is_ready() is False
    assert len(script.requests) == 1


def test_an_answer_that_cannot_be_unpacked_is_none_of_the_services() -> None:
    class Garbled(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"no gzip"

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"no gzip"

    def garbled() -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Garbled())

    script = Script((garbled(), garbled()))
    with pytest.raises(AnswerBroken, match="DecodingError"):
        script.client().segment(b"image")

    async def ask() -> None:
        async with AsyncClient("http://s", transport=httpx.MockTransport(script)) as client:
            await client.segment(b"image")

    with pytest.raises(AnswerBroken, match="DecodingError"):
        anyio.run(ask)


@pytest.mark.parametrize(
    ("chosen", "images", "read_s"),
    [({}, 1, 120), ({}, 6, 270), ({"timeout": 7.0}, 6, 7), ({"timeout": httpx.Timeout(8)}, 1, 8)],
)
def test_a_study_has_time_for_all_of_its_images(
    chosen: dict[str, Any], images: int, read_s: float
) -> None:
    script = Script((httpx.Response(500),))
    with pytest.raises(ServiceFailed):
        script.client(**chosen).study([b"image"] * images)
    assert script.requests[0].extensions["timeout"]["read"] == read_s
