import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from service.app import create_app
from service.connections.server import config_of
from service.settings import Settings
from tests.service.api.conftest import opened

pytestmark = pytest.mark.integration

URL = "/v1/segment"
CANARY = "MUSTERMANN-19570402"


def check_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "code", "detail", "request_id"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:mammoseg:problem:{code}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        (f"{URL}?max_side={CANARY}", 400, "invalid-parameter"),
        (f"{URL}?gate={CANARY}", 400, "invalid-parameter"),
        (f"{URL}?include={CANARY}", 400, "invalid-parameter"),
        (f"{URL}?pixel_spacing_mm={CANARY}", 400, "invalid-parameter"),
        (f"{URL}?output={CANARY}", 406, "output"),
        (f"/v1/{CANARY}", 404, "not-found"),
    ],
)
def test_what_was_sent_is_never_echoed(
    client: TestClient, url: str, status: int, code: str
) -> None:
    check_problem(client.post(url, content=b"x"), status, code)


def test_a_wrong_method_is_a_problem_too(client: TestClient) -> None:
    answer = client.get(URL)
    check_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_an_error_on_our_side_shows_and_logs_no_text(
    client: TestClient, phantom_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    segmenter = opened(client).segmenter
    with monkeypatch.context() as patch, capture_logs() as entries:
        patch.setattr(segmenter, "segment", explode)
        answer = client.post(URL, content=phantom_png, headers={"X-Request-ID": CANARY})
    check_problem(answer, 500, "internal")
    error, request = entries
    assert error["error"] == "RuntimeError"
    assert error["at"][-1].startswith("test_problems.py:")
    assert request["code"] == "internal"
    assert error["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert CANARY not in repr(entries)
    assert client.post(URL, content=phantom_png).status_code == 200


def test_a_full_service_says_when_to_come_back(identity_model: Path, phantom_png: bytes) -> None:
    settings = Settings(model=identity_model, device="cpu", readers=1, max_in_flight=1)
    with TestClient(create_app(settings)) as client:
        limiter = opened(client).limiter
        with limiter.slot():
            answer = client.post(URL, content=phantom_png)
            check_problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/health/ready").status_code == 200
        assert client.post(URL, content=phantom_png).status_code == 200


def test_a_draining_service_is_not_ready(identity_model: Path, phantom_png: bytes) -> None:
    settings = Settings(model=identity_model, device="cpu", readers=1)
    with TestClient(create_app(settings)) as client:
        opened(client).limiter.draining = True
        check_problem(client.post(URL, content=phantom_png), 503, "draining")
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.headers["Retry-After"]) == (503, "1")
        assert client.get("/health/live").status_code == 200


def test_a_deadline_that_passes_is_504(identity_model: Path, phantom_png: bytes) -> None:
    settings = Settings(model=identity_model, device="cpu", readers=1, deadline_s=1e-9)
    with TestClient(create_app(settings)) as client:
        check_problem(client.post(URL, content=phantom_png), 504, "deadline")


def test_a_request_is_logged_once_without_its_query(client: TestClient, phantom_png: bytes) -> None:
    with capture_logs() as entries:
        client.post(f"{URL}?output={CANARY}", content=phantom_png, headers={"X-Name": CANARY})
    (entry,) = entries
    assert (entry["event"], entry["route"], entry["status"]) == ("request", URL, 406)
    assert entry["code"] == "output"
    assert CANARY not in repr(entry)


def test_metrics_count_requests_and_problems(client: TestClient, phantom_png: bytes) -> None:
    client.post(URL, content=phantom_png)
    client.post(URL, content=b"")
    text = client.get("/metrics").text
    assert 'mammoseg_requests_total{route="/v1/segment",status="200"}' in text
    assert 'mammoseg_problems_total{code="empty-body"}' in text
    assert 'mammoseg_stage_seconds_count{stage="net"}' in text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["mammoseg_net_cpu_seconds"]) > 0
    assert values["mammoseg_tiles_waiting"] == values["mammoseg_in_flight"] == "0.0"
    assert CANARY not in text


def problems_counted(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("mammoseg_problems_total{")]
    return {name.split('"')[1]: float(value) for name, value in pairs}


def test_every_problem_is_counted_and_logged_by_its_code(
    client: TestClient, phantom_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError

    before = problems_counted(client)
    with monkeypatch.context() as patch, capture_logs() as entries:
        patch.setattr(opened(client).segmenter, "segment", explode)
        client.post(URL, content=phantom_png)
        client.get("/v1/model", headers={"X-Long": "x" * 20_000})
        client.get("/nowhere")
        client.delete(URL)
    codes = ["internal", "headers-too-large", "not-found", "method-not-allowed"]
    assert [entry["code"] for entry in entries if entry["event"] == "request"] == codes
    after = problems_counted(client)
    assert [after[code] - before.get(code, 0) for code in codes] == [1, 1, 1, 1]


def test_what_never_becomes_a_request_is_counted_too(client: TestClient) -> None:
    before = problems_counted(client)
    assert isinstance(client.app, FastAPI)
    config = config_of(client.app, opened(client).settings)
    make: Any = config.http
    loop = asyncio.new_event_loop()
    connection = make(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    connection._refusals.refused("http-broken", "42")
    connection._refusals.too_many("connections", "42")
    loop.close()
    after = problems_counted(client)
    codes = ("http-broken", "connections")
    assert [after[code] - before.get(code, 0) for code in codes] == [1, 1]


def test_model_and_readiness_say_what_answers(client: TestClient) -> None:
    ready = client.get("/health/ready").json()
    assert ready == {"status": "ready", "model": "identity", "version": "0.0.1", "device": "cpu"}
    model = client.get("/v1/model").json()
    assert model["contract"]["spacing"]["working_mm"] == 1.0
    assert "golden" not in model["contract"]
    assert model["weights_licence"] == "Apache-2.0"
    assert len(json.dumps(model)) < 10_000
