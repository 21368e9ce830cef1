"""A mammogram as clients of many makes send it: the programs that are here, the bytes of others."""

import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.clients import CLIENTS, Request
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.e2e

JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.*;

class Send {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        var file = Path.of(args[1]);
        var whole = BodyPublishers.ofFile(file);
        var chunked = BodyPublishers.ofInputStream(() -> {
            try { return Files.newInputStream(file); } catch (Exception e) { return null; }
        });
        for (var body : new HttpRequest.BodyPublisher[] {whole, chunked, whole}) {
            var request = HttpRequest.newBuilder(URI.create(args[0]))
                .header("Content-Type", "application/dicom").POST(body).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode());
        }
    }
}
"""

NODE = """
const fs = require("fs");
const [url, file] = process.argv.slice(1);
(async () => {
  const form = new FormData();
  form.append("file", new Blob([fs.readFileSync(file)]), "m.dcm");
  for (const body of [fs.readFileSync(file), form]) {
    const answer = await fetch(url, { method: "POST", body });
    console.log(answer.status);
  }
})();
"""

CURL = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}\n")
COMMANDS: dict[str, tuple[str, ...]] = {
    "curl": (*CURL, "--data-binary", "@FILE", "URL"),
    "curl --http2": (*CURL, "--http2", "--data-binary", "@FILE", "URL"),
    "curl --http2 --form": (*CURL, "--http2", "--form", "file=@FILE", "URL"),
    "curl --upload-file": (*CURL, "--request", "POST", "--upload-file", "FILE", "URL"),
    "curl, chunked": (*CURL, "--http2", "-H", "Transfer-Encoding: chunked",
                      "--data-binary", "@FILE", "URL"),
    "curl, 100-continue": (*CURL, "-H", "Expect: 100-continue", "--data-binary", "@FILE", "URL"),
    "node": ("node", "-e", NODE, "URL", "FILE"),
}  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("clients")
    model = write_identity_net(folder / "identity.onnx")
    with serving(folder, model=str(model), readers="1", runners="1") as service:
        yield service


@pytest.fixture(scope="module")
def mammogram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("file") / "m.dcm"
    file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    return file


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


def test_javas_own_client_is_answered(service: Service, mammogram: Path, tmp_path: Path) -> None:
    program = tmp_path / "Send.java"
    program.write_text(JAVA)
    assert run("java", str(program), f"{service.url}/v1/segment", str(mammogram)) == ["200"] * 3


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
