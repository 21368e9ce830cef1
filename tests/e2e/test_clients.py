"""A mammogram as clients of many makes send it: the programs that are here, the bytes of others."""

import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import CLIENTS, Request
from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

PROGRAMS = Path(__file__).parent / "programs"
JARS = Path("/usr/share/java")
"""Where Debian keeps them: libhttpclient-java, libhttpmime-java, libhttpclient5-java."""

APACHE = {
    "Apache4.java": ("httpclient", "httpcore", "httpmime", "commons-logging", "commons-codec"),
    "Apache5.java": ("httpclient5", "httpcore5", "httpcore5-h2", "slf4j-api", "slf4j-nop"),
}

CURL = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}\n")
COMMANDS: dict[str, tuple[str, ...]] = {
    "curl": (*CURL, "--data-binary", "@FILE", "URL"),
    "curl --http2": (*CURL, "--http2", "--data-binary", "@FILE", "URL"),
    "curl --http2 --form": (*CURL, "--http2", "--form", "file=@FILE", "URL"),
    "curl --upload-file": (*CURL, "--request", "POST", "--upload-file", "FILE", "URL"),
    "curl, chunked": (*CURL, "--http2", "-H", "Transfer-Encoding: chunked",
                      "--data-binary", "@FILE", "URL"),
    "curl, 100-continue": (*CURL, "-H", "Expect: 100-continue", "--data-binary", "@FILE", "URL"),
    "node": ("node", str(PROGRAMS / "send.js"), "URL", "FILE"),
}  # fmt: skip


def run(*command: str) -> list[str]:
    """Run a client, and return the status of each of its answers."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_what_a_client_sends_is_answered(
    service: Service, mammogram: Path, client: Request
) -> None:
    url, body = httpx.URL(service.url), mammogram.read_bytes()
    request = client(f"{url.host}:{url.port}", body)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as wire:
        for _ in range(2):
            wire.sendall(request)
            assert whole_answer(wire).startswith(b"HTTP/1.1 200 OK\r\n")


def whole_answer(wire: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += wire.recv(2**16) or b"\r\n\r\n"
    head, _, content = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(content) < length:
        content += wire.recv(2**16)
    return head + b"\r\n"


def test_a_large_body_is_sent_after_100_continue(service: Service, mammogram: Path) -> None:
    url, body = httpx.URL(service.url), mammogram.read_bytes()
    head = CLIENTS["dotnet"](f"{url.host}:{url.port}", body).removesuffix(body)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as wire:
        wire.sendall(head.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n")
        assert wire.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(body)
        assert whole_answer(wire).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_program_is_answered(service: Service, mammogram: Path, command: tuple[str, ...]) -> None:
    replaced = {"URL": f"{service.url}/v1/segment", "URL/": f"{service.url}/v1/segment/"}
    words = [replaced.get(word, word.replace("FILE", str(mammogram))) for word in command]
    assert set(run(*words)) == {"200"}


def test_wget_is_answered(service: Service, mammogram: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    url = f"{service.url}/v1/segment"
    run("wget", "--quiet", "--output-document", str(answer), f"--post-file={mammogram}", url)
    assert answer.stat().st_size
    run("wget", "--quiet", "--spider", f"{service.url}/health/ready")


@pytest.mark.long
def test_javas_own_client_is_answered(service: Service, mammogram: Path) -> None:
    url = f"{service.url}/v1/segment"
    assert run("java", str(PROGRAMS / "Send.java"), url, str(mammogram)) == ["200"] * 3


@pytest.mark.parametrize("program", APACHE)
def test_apaches_client_is_answered(service: Service, mammogram: Path, program: str) -> None:
    jars = [JARS / f"{name}.jar" for name in APACHE[program]]
    if missing := [jar.name for jar in jars if not jar.is_file()]:
        pytest.skip(f"needs {', '.join(missing)}")
    path = ":".join(map(str, jars))
    url = f"{service.url}/v1/segment"
    sent = run("java", "-cp", path, str(PROGRAMS / program), url, str(mammogram))
    assert sent == ["200"] * 3


def test_gos_client_is_answered(service: Service, mammogram: Path, tmp_path: Path) -> None:
    program = tmp_path / "send"
    run("go", "build", "-o", str(program), str(PROGRAMS / "send.go"))
    assert run(str(program), f"{service.url}/v1/segment", str(mammogram)) == ["200"] * 3


def test_dotnets_client_is_answered(service: Service, mammogram: Path, tmp_path: Path) -> None:
    """Its HttpClient as Mono has it: .NET itself comes from no package here."""
    program = tmp_path / "send.exe"
    run("mcs", "-r:System.Net.Http.dll", f"-out:{program}", str(PROGRAMS / "Send.cs"))
    assert run("mono", str(program), f"{service.url}/v1/segment", str(mammogram)) == ["200"] * 3


def test_pythons_own_client_is_answered(service: Service, mammogram: Path) -> None:
    request = urllib.request.Request(f"{service.url}/v1/segment", mammogram.read_bytes())
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_requests_is_answered_by_form_and_by_chunks(service: Service, mammogram: Path) -> None:
    requests = pytest.importorskip("requests")
    url, body = f"{service.url}/v1/segment", mammogram.read_bytes()
    answer = requests.post(url, files={"file": ("m.dcm", body)}, timeout=60)
    assert answer.status_code == 200
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    assert requests.post(url, data=pieces, timeout=60).status_code == 200


def test_httpx_is_answered_by_form_and_by_chunks(service: Service, mammogram: Path) -> None:
    url, body = f"{service.url}/v1/segment", mammogram.read_bytes()
    with httpx.Client(timeout=60) as client:
        assert client.post(url, files={"file": ("m.dcm", body)}).status_code == 200
        pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
        assert client.post(url, content=pieces).status_code == 200
