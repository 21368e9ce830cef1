"""Who may come in, at a real server: connections that go on, bodies that are not read, memory."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from service.system.server_process import serve_command
from tests import http_client
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net
from tests.openid_providers import AUDIENCE, local_provider
from tests.waiting import HANG_S, comes_true

pytestmark = pytest.mark.e2e

MIB = 2**20


def mammoseg(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def key(keys_file: Path) -> str:
    return mammoseg("keys", "add", "page", "--file", keys_file).stdout.strip()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, model: Path, keys_file: Path, key: str
) -> Iterator[Service]:
    with serving(
        tmp_path_factory.mktemp("guarded"),
        model=str(model),
        readers="1",
        runners="1",
        keys_file=str(keys_file),
        denied_per_minute="1000000",
    ) as service:
        yield service


def bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_an_open_address_needs_keys_before_anything_is_loaded(model: Path) -> None:
    environment = {"MAMMOSEG_MODEL": str(model), "MAMMOSEG_DEVICE": "cpu"}
    done = subprocess.run(
        [*serve_command(0), "--host", "0.0.0.0"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "MAMMOSEG_KEYS_FILE" in done.stderr and "MAMMOSEG_ALLOW_ANONYMOUS" in done.stderr


def test_an_open_address_with_the_word_for_it_is_served(tmp_path: Path, model: Path) -> None:
    with serving(
        tmp_path, model=str(model), host="0.0.0.0", allow_anonymous="true", readers="1"
    ) as service:
        assert http_client.get(f"{service.url}/v1/model").status_code == 200


def test_a_refusal_leaves_the_connection_as_it_was(guarded: Service, key: str) -> None:
    url = httpx.URL(guarded.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=30)
    own_port = None
    for body in (b"", b"x" * 10, b"x" * 3 * MIB):
        connection.request("POST", "/v1/segment", body, {"Content-Type": "application/dicom"})
        answer = connection.getresponse()
        assert answer.status == 401
        assert "connection" not in answer.headers
        answer.read()
        own_port = own_port or connection.sock.getsockname()[1]
        connection.request("GET", "/v1/model", headers=bearing(key))
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    assert connection.sock.getsockname()[1] == own_port
    connection.close()


def test_who_waits_for_leave_to_send_is_told_no_and_sends_nothing(guarded: Service) -> None:
    url = httpx.URL(guarded.url)
    with socket.create_connection((url.host, url.port or 80), timeout=HANG_S) as wire:
        wire.sendall(
            b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"
            b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert wire.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_tries_without_leave_take_no_memory(guarded: Service) -> None:
    process = psutil.Process(guarded.process.pid)
    with httpx.Client(timeout=60) as client:

        def try_often(times: int) -> None:
            for number in range(times):
                headers = bearing(f"mammoseg_{number}{'x' * 4000}")
                body = b"x" * (MIB if number % 20 == 0 else 100)
                answer = client.post(f"{guarded.url}/v1/segment", content=body, headers=headers)
                assert answer.status_code == 401

        try_often(100)
        before = process.memory_info().rss
        try_often(2000)
        assert process.memory_info().rss - before < 8 * MIB


def test_a_key_that_is_made_or_withdrawn_counts_while_the_service_runs(
    guarded: Service, keys_file: Path
) -> None:
    secret = mammoseg("keys", "add", "new", "--scopes", "metrics", "--file", keys_file)
    headers = bearing(secret.stdout.strip())

    def comes_to(status: int) -> bool:
        return comes_true(
            lambda: (
                http_client.get(f"{guarded.url}/metrics", headers=headers).status_code == status
            ),
            10,
        )

    assert comes_to(200)
    assert mammoseg("keys", "remove", "new", "--file", keys_file).returncode == 0
    assert comes_to(401)


def test_the_log_names_keys_and_holds_none(guarded: Service, key: str) -> None:
    http_client.get(f"{guarded.url}/v1/model", headers=bearing(key))
    http_client.get(f"{guarded.url}/v1/model", headers=bearing("mammoseg_wrong"))
    time.sleep(0.2)
    log = guarded.log.read_text()
    assert '"caller": "page"' in log
    assert key not in log and "mammoseg_wrong" not in log


def test_tokens_of_a_provider_are_believed(tmp_path: Path, model: Path) -> None:
    with (
        local_provider() as provider,
        serving(
            tmp_path,
            model=str(model),
            readers="1",
            oidc_issuer=provider.issuer,
            oidc_audience=AUDIENCE,
        ) as service,
    ):
        for token, status in (
            (provider.token(), 200),
            (provider.token(aud="another"), 401),
            (provider.token(scope="inbox"), 403),
        ):
            answer = http_client.get(f"{service.url}/v1/model", headers=bearing(token))
            assert answer.status_code == status
        assert "oidc-keys-fetched" in service.log.read_text()


@pytest.mark.parametrize("trusted", ["", "127.0.0.1,10.0.0.0/8"])
def test_a_proxy_is_believed_only_if_it_is_listed(
    tmp_path: Path, model: Path, keys_file: Path, key: str, trusted: str
) -> None:
    with serving(
        tmp_path,
        model=str(model),
        readers="1",
        keys_file=str(keys_file),
        denied_per_minute="2",
        trusted_proxies=trusted,
    ) as service:
        answers = [
            http_client.get(
                f"{service.url}/v1/model",
                headers={
                    "X-Forwarded-For": f"203.0.113.99, 198.51.100.{number}",
                    "X-Forwarded-Proto": "https",
                },
            )
            for number in range(5)
        ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == ([401] * 5 if trusted else [401, 401, 429, 429, 429])
    assert ("strict-transport-security" in answers[0].headers) is bool(trusted)
