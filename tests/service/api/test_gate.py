"""Who may come in, by each path and method that the service has, over the application itself."""

import base64
import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Route

from service.access.keys import ApiKey, changing_keys, digest_of
from service.access.scopes import Scope, need_of
from service.app import create_app
from service.errors import TooManyRequests
from service.settings import Settings
from tests.service.access.api_keys import TODAY
from tests.service.api.conftest import opened

pytestmark = pytest.mark.integration

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
DESCRIBED = yaml.safe_load((Path(__file__).parents[3] / "openapi.yaml").read_text("utf-8"))
PATHS = [path.replace("{study}", "1.2.3") for path in DESCRIBED["paths"]]
OPEN = ("/", "/docs", "/redoc", "/openapi.json", "/health/live", "/health/ready")
UNKNOWN = ("/nothing", "//v1/segment", "/V1/segment", "/v1", "/dicom-web", "/metricsx", "/%00")

OPERATIONS = [
    (path.replace("{study}", "1.2.3"), method, operation)
    for path, operations in DESCRIBED["paths"].items()
    for method, operation in operations.items()
]
GUARDED = [(path, method) for path, method, _ in OPERATIONS if need_of(path) != "nothing"]


def secret_of(scope: Scope) -> str:
    return f"mammoseg_{scope}"


def bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def write_keys(file: Path) -> Path:
    with changing_keys(file) as keys:
        for scope in Scope:
            keys.append(ApiKey(scope, digest_of(secret_of(scope)), frozenset({scope}), TODAY))
    return file


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture(scope="module")
def guarded(identity_model: Path, keys_file: Path) -> Iterator[TestClient]:
    settings = Settings(
        model=identity_model, device="cpu", readers=1, keys_file=keys_file, denied_per_minute=10**6
    )
    with TestClient(create_app(settings)) as client:
        yield client


def test_every_route_of_the_application_is_walked(guarded: TestClient) -> None:
    assert isinstance(guarded.app, FastAPI)
    routes = {route.path for route in guarded.app.routes if isinstance(route, Route)}
    walked = set(DESCRIBED["paths"]) | set(OPEN) | {"/metrics", "/docs/oauth2-redirect"}
    assert routes <= walked
    assert GUARDED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [*PATHS, "/metrics", *UNKNOWN])
def test_without_a_key_nothing_is_given_but_health(
    guarded: TestClient, path: str, method: str
) -> None:
    if path.startswith("/health/"):
        assert guarded.request(method, path).status_code != 401
        return
    for headers in (
        {},
        bearing("mammoseg_unknown"),
        bearing(""),
        bearing("a.b.c"),
        {"Authorization": secret_of(Scope.ADMIN)},
        {"Authorization": f"Digest {secret_of(Scope.ADMIN)}"},
        {"Authorization": "Basic !"},
        {"X-Api-Key": secret_of(Scope.ADMIN)},
    ):
        answer = guarded.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="mammoseg"')
        if method != "head":
            assert answer.json()["code"] == "unauthenticated"
    assert guarded.request(method, path, params={"key": secret_of(Scope.ADMIN)}).status_code == 401


@pytest.mark.parametrize(("path", "method"), GUARDED)
def test_another_scope_is_refused_and_the_right_one_is_let_in(
    guarded: TestClient, path: str, method: str
) -> None:
    need = need_of(path)
    assert isinstance(need, Scope)
    for scope in Scope:
        answer = guarded.request(method, path, headers=bearing(secret_of(scope)))
        if scope in (need, Scope.ADMIN):
            assert answer.status_code not in (401, 403, 405, 500)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert f'scope="{need}"' in answer.headers["WWW-Authenticate"]


def test_the_description_says_of_every_operation_what_it_needs() -> None:
    assert DESCRIBED["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, _, operation in OPERATIONS:
        if path.startswith("/health/"):
            assert operation["security"] == []
        else:
            assert operation["security"] == [{"bearer": [str(need_of(path))]}]
            assert {"401", "403", "429"} <= operation["responses"].keys()


@pytest.mark.parametrize("path", OPEN)
def test_health_the_page_and_the_description_are_open(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200
    assert guarded.get(path, headers=bearing("mammoseg_unknown")).status_code == 200


def test_a_known_caller_learns_that_there_is_no_such_route(guarded: TestClient) -> None:
    for path in UNKNOWN[:3]:
        headers = bearing(secret_of(Scope.METRICS if path[1:3] != "v1" else Scope.SEGMENT))
        assert guarded.get(path, headers=headers).status_code in (404, 405)


def test_the_metrics_need_their_scope_unless_they_are_open(
    guarded: TestClient, identity_model: Path, keys_file: Path
) -> None:
    assert guarded.get("/metrics").status_code == 401
    assert guarded.get("/metrics/").status_code == 401
    assert guarded.get("/metrics", headers=bearing(secret_of(Scope.SEGMENT))).status_code == 403
    assert guarded.get("/metrics", headers=bearing(secret_of(Scope.METRICS))).status_code == 200
    settings = Settings(
        model=identity_model, device="cpu", readers=1, keys_file=keys_file, metrics_open=True
    )
    with TestClient(create_app(settings)) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/model").status_code == 401


def test_a_key_may_come_as_the_password_of_any_user(guarded: TestClient) -> None:
    for user in ("pacs", "", "a"):
        text = base64.b64encode(f"{user}:{secret_of(Scope.SEGMENT)}".encode()).decode()
        headers = {"Authorization": f"Basic {text}"}
        assert guarded.get("/v1/model", headers=headers).status_code == 200
    text = base64.b64encode(secret_of(Scope.SEGMENT).encode()).decode()
    assert guarded.get("/v1/model", headers={"Authorization": f"Basic {text}"}).status_code == 401


def test_the_word_bearer_is_read_in_any_case_and_two_headers_are_none(guarded: TestClient) -> None:
    secret = secret_of(Scope.SEGMENT)
    for field in (f"bearer {secret}", f"BEARER {secret}", f"Bearer  {secret} "):
        assert guarded.get("/v1/model", headers={"Authorization": field}).status_code == 200
    twice = [("Authorization", f"Bearer {secret}")] * 2
    assert guarded.get("/v1/model", headers=twice).status_code == 401


def test_all_who_are_refused_get_one_answer(guarded: TestClient, keys_file: Path) -> None:
    """A key that was withdrawn, one that nearly is one, and nonsense."""

    def told(secret: str) -> tuple[Any, ...]:
        answer = guarded.get("/v1/model", headers=bearing(secret))
        return (
            answer.status_code,
            answer.headers["WWW-Authenticate"],
            answer.json() | {"request_id": ""},
        )

    right = secret_of(Scope.SEGMENT)
    answers = [told(secret) for secret in ("x", right[:-1], right + "x", right.upper(), "a.b.c")]
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 401


def test_a_key_counts_from_when_it_is_added_until_it_is_withdrawn(
    identity_model: Path, tmp_path: Path
) -> None:
    file = write_keys(tmp_path / "keys.json")
    now = [0.0]
    settings = Settings(model=identity_model, device="cpu", readers=1, keys_file=file)
    from service.access.access import AccessControl

    access = AccessControl(settings.access_options(), clock=lambda: now[0])
    with TestClient(create_app(settings, access=access)) as client:
        assert client.get("/v1/model", headers=bearing("new")).status_code == 401
        with changing_keys(file) as keys:
            keys.append(ApiKey("new", digest_of("new"), frozenset({Scope.SEGMENT}), TODAY))
        now[0] += 1
        assert client.get("/v1/model", headers=bearing("new")).status_code == 200
        with changing_keys(file) as keys:
            del keys[-1]
        now[0] += 1
        assert client.get("/v1/model", headers=bearing("new")).status_code == 401


def test_a_caller_that_asks_too_often_waits_and_others_do_not(
    identity_model: Path, keys_file: Path
) -> None:
    settings = Settings(
        model=identity_model,
        device="cpu",
        readers=1,
        keys_file=keys_file,
        requests_per_minute=3,
        denied_per_minute=2,
    )
    with TestClient(create_app(settings)) as client:
        segment, admin = bearing(secret_of(Scope.SEGMENT)), bearing(secret_of(Scope.ADMIN))
        assert [client.get("/v1/model", headers=segment).status_code for _ in range(3)] == [200] * 3
        late = client.get("/v1/model", headers=segment)
        assert (late.status_code, late.json()["code"]) == (429, "rate-limit")
        assert 1 <= int(late.headers["Retry-After"]) <= 20
        assert client.get("/v1/model", headers=admin).status_code == 200
        assert [client.get("/v1/model").status_code for _ in range(3)] == [401, 401, 429]
        assert client.get("/v1/model", headers=bearing("wrong")).status_code == 429
        # Whoever shares the address and has a key is not kept out by the others.
        assert client.get("/v1/model", headers=admin).status_code == 200
        assert client.get("/health/ready").status_code == 200


@pytest.mark.long
def test_tries_without_leave_take_no_memory(guarded: TestClient) -> None:
    def try_often(start: int) -> None:
        for number in range(start, start + 150):
            headers = bearing(f"mammoseg_{number}{'x' * 8000}")
            guarded.post("/v1/segment", headers=headers, content=b"x" * 10_000)

    try_often(0)
    tracemalloc.start()
    try:
        try_often(1000)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        try_often(2000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 300_000, grown


def test_the_log_names_keys_and_never_shows_one(
    guarded: TestClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    import structlog

    with structlog.testing.capture_logs() as lines:
        guarded.get("/v1/model", headers=bearing(secret_of(Scope.SEGMENT)))
        guarded.get("/v1/model", headers=bearing("mammoseg_unknown"))
    assert [line.get("caller") for line in lines] == ["segment", None]
    assert "mammoseg_" not in str(lines)
    assert lines[1]["code"] == "unauthenticated" and lines[1]["address"] == "testclient"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/segment", Scope.SEGMENT),
        ("/v1/studies", Scope.SEGMENT),
    ],
)
def test_what_is_sent_counts_in_the_share_of_the_key(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, scope: Scope
) -> None:
    limiter, told = opened(guarded).limiter, []

    def receiving(door: str, caller: str | None = None) -> None:
        told.append(caller)
        raise TooManyRequests("share", "You hold your share.", 3)

    monkeypatch.setattr(limiter, "receiving", receiving)
    answer = guarded.post(path, content=b"x", headers=bearing(secret_of(scope)))
    assert told == [f"key:{scope}"]
    assert (answer.status_code, answer.json()["code"]) == (429, "share")
    assert answer.headers["Retry-After"] == "3"


def test_without_keys_on_the_loopback_nobody_is_asked(client: TestClient) -> None:
    assert client.get("/v1/model").status_code == 200
    assert client.get("/metrics", headers=bearing("anything")).status_code == 200
