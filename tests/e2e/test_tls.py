"""TLS of the service, spoken by curl and OpenSSL."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.certificates import DAY, Authority, Issued
from tests.e2e.conftest import Service, serving_tls
from tests.identity_net import write_identity_net
from tests.programs import require_program
from tests.service.audit.recorded import told
from tests.waiting import HANG_S, comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HANDSHAKE_S = 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory, model: Path, authority: Authority
) -> Iterator[Service]:
    server = authority.issue("server")
    with serving_tls(
        tmp_path_factory.mktemp("secured"),
        ssl.create_default_context(cafile=authority.file),
        model=str(model),
        readers="1",
        runners="1",
        tls_certificate=str(server.certificate),
        tls_key=str(server.key),
        tls_handshake_timeout_s=str(HANDSHAKE_S),
    ) as service:
        yield service


@pytest.fixture(scope="module")
def mutual(
    tmp_path_factory: pytest.TempPathFactory, model: Path, authority: Authority
) -> Iterator[Service]:
    server, client = authority.issue("mutual"), authority.issue("probe", to_client=True)
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(client.certificate, client.key)
    with serving_tls(
        tmp_path_factory.mktemp("mutual"),
        context,
        model=str(model),
        readers="1",
        runners="1",
        tls_certificate=str(server.certificate),
        tls_key=str(server.key),
        tls_client_ca=str(authority.file),
    ) as service:
        yield service


def curl(*words: str | Path) -> tuple[int, str]:
    """Run curl; return its exit status and what it prints."""
    command = [require_program("curl", "curl"), "-sS", "-i", "--max-time", "20", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def certified(issued: Issued) -> tuple[str | Path, ...]:
    return ("--cert", issued.certificate, "--key", issued.key)


def test_curl_is_answered_over_tls_alone(
    secured: Service, authority: Authority, cbis_files: list[Path]
) -> None:
    trusting = ("--cacert", authority.file)
    status, said = curl(*trusting, f"{secured.url}/health/ready")
    assert status == 0 and said.startswith("HTTP/1.1 200 ")
    assert "strict-transport-security: max-age=31536000\n" in said.replace("\r", "").lower()
    status, said = curl(
        *trusting,
        *("-H", "Content-Type: application/dicom"),
        *("--data-binary", f"@{cbis_files[0]}"),
        f"{secured.url}/v1/segment",
    )
    assert status == 0 and '"has_mask"' in said
    assert curl(f"{secured.url}/health/ready")[0] == 60
    assert curl(f"{secured.url}/health/ready".replace("https", "http"))[0] != 0


@pytest.mark.parametrize(
    ("words", "works"),
    [
        (("-tls1_3",), True),
        (("-tls1_2",), True),
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), False),
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), False),
        (("-tls1_2", "-cipher", "AES128-SHA"), False),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"), False),
    ],
    ids=str,
)
def test_openssl_gets_new_versions_and_strong_ciphers(
    secured: Service, authority: Authority, words: tuple[str, ...], works: bool
) -> None:
    url = httpx.URL(secured.url)
    command = [require_program("openssl", "openssl"), "s_client", "-connect"]
    command += [f"{url.host}:{url.port}", "-CAfile", str(authority.file), *words]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert (b"Verify return code: 0 (ok)" in done.stdout and done.returncode == 0) is works


def test_clients_without_the_right_certificate_are_refused_and_logged(
    mutual: Service, authority: Authority, tmp_path: Path
) -> None:
    trusting = ("--cacert", authority.file)
    right = authority.issue("right", to_client=True)
    status, said = curl(*trusting, *certified(right), f"{mutual.url}/v1/model")
    assert status == 0 and said.startswith("HTTP/1.1 200 ")
    wrong = {
        "certificate has expired": authority.issue("expired", to_client=True, ends_in=-DAY),
        "unable to get local issuer": Authority(tmp_path, "other").issue("x", to_client=True),
        "unsuitable certificate purpose": authority.issue("no-client"),
    }
    for issued in wrong.values():
        assert curl(*trusting, *certified(issued), f"{mutual.url}/health/live")[0] != 0
    assert curl(*trusting, f"{mutual.url}/health/live")[0] != 0
    time.sleep(0.3)
    log = mutual.log.read_text()
    for reason in (*wrong, "PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        assert reason in log


def test_who_connects_and_says_nothing_is_closed_and_shuts_nobody_out(
    secured: Service, authority: Authority
) -> None:
    url = httpx.URL(secured.url)
    context = ssl.create_default_context(cafile=authority.file)
    silent = [socket.create_connection((url.host, url.port)) for _ in range(600)]
    try:
        with httpx.Client(verify=context, timeout=HANG_S) as client:
            for _ in range(3):
                assert client.get(f"{secured.url}/health/ready").status_code == 200
        time.sleep(HANDSHAKE_S + 2)
        for wire in silent:
            wire.settimeout(HANG_S)
            with contextlib.suppress(ConnectionResetError):
                assert wire.recv(16) == b""
    finally:
        for wire in silent:
            wire.close()


def test_who_speaks_tls_and_then_says_nothing_is_closed_too(
    tmp_path: Path, model: Path, authority: Authority
) -> None:
    server = authority.issue("patient")
    context = ssl.create_default_context(cafile=authority.file)
    with serving_tls(
        tmp_path,
        context,
        model=str(model),
        readers="1",
        header_timeout_s="1",
        tls_certificate=str(server.certificate),
        tls_key=str(server.key),
    ) as service:
        url = httpx.URL(service.url)
        for words in (b"", b"GET / HTTP/1.1\r\nHost: h\r\n"):
            plain = socket.create_connection((url.host, url.port), timeout=HANG_S)
            with context.wrap_socket(plain, server_hostname="localhost") as wire:
                wire.sendall(words)
                assert wire.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_files_that_change_count_within_seconds_and_no_connection_is_dropped(
    tmp_path: Path, model: Path
) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    files = first.issue("changing")
    context = ssl.create_default_context(cafile=first.file)
    with serving_tls(
        tmp_path,
        context,
        model=str(model),
        readers="1",
        tls_certificate=str(files.certificate),
        tls_key=str(files.key),
    ) as service:
        url = httpx.URL(service.url)
        opened = http.client.HTTPSConnection("localhost", url.port, context=context, timeout=HANG_S)
        opened.request("GET", "/health/live")
        opened.getresponse().read()
        own_port = opened.sock.getsockname()[1]
        second.issue("changing")
        assert comes_true(
            lambda: not curl("--cacert", second.file, f"{service.url}/health/live")[0], 20
        )
        opened.request("GET", "/health/live")
        answer = opened.getresponse()
        assert answer.status == 200 and answer.read()
        assert opened.sock.getsockname()[1] == own_port
        opened.close()
        assert "tls-files-read" in service.log.read_text()


def probe(port: int, **environment: str) -> int:
    variables = {f"MAMMOSEG_{name.upper()}": value for name, value in environment.items()}
    variables |= {"MAMMOSEG_PORT": str(port), "PATH": ""}
    command = [sys.executable, "-m", "service.probe"]
    return subprocess.run(command, env=variables, timeout=30, check=False).returncode


def test_the_containers_probe_knows_how_the_service_speaks(
    secured: Service, mutual: Service, authority: Authority
) -> None:
    def port(service: Service) -> int:
        return httpx.URL(service.url).port or 0

    assert probe(port(secured), tls_certificate="a") == 0
    assert probe(port(secured)) == 1
    assert probe(port(mutual), tls_certificate="a", tls_client_ca="b") == 0
    assert probe(port(mutual), tls_certificate="a") == 1
    assert probe(1) == 1


def test_without_a_file_of_tls_the_service_does_not_start(tmp_path: Path, model: Path) -> None:
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    environment = {
        "MAMMOSEG_TLS_CERTIFICATE": str(tmp_path / "absent"),
        "MAMMOSEG_MODEL": str(model),
        "PATH": "",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2 and "TLS: " in done.stderr


def test_a_client_whose_certificate_is_refused_is_told_to_the_audit_trail(
    tmp_path: Path, model: Path, authority: Authority
) -> None:
    server, right = authority.issue("audited"), authority.issue("right", to_client=True)
    wrong = Authority(tmp_path, "strangers").issue("wrong", to_client=True)
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(right.certificate, right.key)
    with serving_tls(
        tmp_path,
        context,
        model=str(model),
        readers="1",
        runners="1",
        tls_certificate=str(server.certificate),
        tls_key=str(server.key),
        tls_client_ca=str(authority.file),
        audit="syslog-tcp://127.0.0.1:9",
        audit_folder=str(tmp_path / "audit"),
    ) as service:
        trusting = ("--cacert", str(authority.file))
        assert curl(*trusting, *certified(wrong), f"{service.url}/health/live")[0] != 0
    start, refused, stop = told(tmp_path / "audit")
    assert (start.event, stop.event) == ("Application Start", "Application Stop")
    assert (refused.event, refused.why) == ("Node Authentication", "tls-certificate")
    assert b'NetworkAccessPointID="127.0.0.1"' in refused.raw
