import json

import pytest
from fastapi.testclient import TestClient

from service.api.security_headers import with_security_headers
from service.connections.http_header import last_answer
from service.errors import InvalidRequest

ALWAYS = ("x-content-type-options", "referrer-policy", "content-security-policy")


@pytest.mark.unit
def test_a_page_keeps_its_own_policy_and_is_framed_by_nobody() -> None:
    own = [(b"content-security-policy", b"default-src 'self';"), (b"content-type", b"text/html")]
    fields = dict(with_security_headers(own, False, 0))
    policy = fields[b"content-security-policy"]
    assert policy == b"default-src 'self'; frame-ancestors 'none'"
    framed = [(b"content-security-policy", b"frame-ancestors https://viewer.example")]
    assert dict(with_security_headers(framed, False, 0))[b"content-security-policy"] == framed[0][1]


@pytest.mark.unit
def test_what_is_no_page_loads_nothing() -> None:
    fields = dict(with_security_headers([(b"content-type", b"image/png")], False, 0))
    assert fields[b"content-security-policy"].startswith(b"default-src 'none'")
    page = dict(with_security_headers([(b"content-type", b"text/html; charset=utf-8")], False, 0))
    assert b"default-src" not in page[b"content-security-policy"]


@pytest.mark.unit
def test_a_field_that_is_given_stays_and_none_comes_twice() -> None:
    given = [
        (b"cache-control", b"max-age=60"),
        (b"referrer-policy", b"origin"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]
    fields = with_security_headers(given, True, 60)
    names = [name for name, _ in fields]
    assert all(names.count(name) == 1 for name in set(names) - {b"set-cookie"})
    assert set(given) < set(fields)
    etag = dict(with_security_headers([(b"etag", b'"1"')], True, 60))
    assert b"cache-control" not in etag


@pytest.mark.unit
def test_browsers_are_bound_to_tls_only_where_it_is_spoken() -> None:
    name = b"strict-transport-security"
    assert dict(with_security_headers([], True, 60))[name] == b"max-age=60"
    assert name not in dict(with_security_headers([], False, 60))
    assert name not in dict(with_security_headers([], True, 0))


@pytest.mark.unit
def test_bytes_that_are_no_request_get_them_too() -> None:
    head, body = last_answer(InvalidRequest("host", "x"), "42").decode().split("\r\n\r\n")
    assert all(f"\r\n{name}: " in head for name in ALWAYS)
    assert json.loads(body)["code"] == "host"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/docs"),
        ("GET", "/health/live"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("PUT", "/v1/segment"),
        ("POST", "/v1/segment"),
        ("GET", f"/{'x' * 20_000}"),
    ],
)
def test_every_answer_has_them_and_names_no_server(
    client: TestClient, method: str, path: str
) -> None:
    headers = {"x": "y" * 20_000} if path == "/metrics" else {}
    answer = client.request(method, path, headers=headers)
    assert all(name in answer.headers for name in ALWAYS)
    assert "server" not in answer.headers and "x-powered-by" not in answer.headers
    assert "strict-transport-security" not in answer.headers
