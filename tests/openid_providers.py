"""OpenID providers for tests: one in this process, and oauth2-mock-server where npm brought it."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.programs import which
from tests.waiting import HANG_S

AUDIENCE = "mammoseg"


class Provider(Protocol):
    """Issues access tokens."""

    issuer: str

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token of the key that is in use, with these claims beside the usual ones."""
        ...

    def rotate(self) -> None:
        """Sign with another key from now on, and publish that one alone."""
        ...


def claims_of(issuer: str, **claims: Any) -> dict[str, Any]:
    """Return the claims of a good token, some replaced; those that are None are to be left out."""
    now = int(time.time())
    usual: dict[str, Any] = {"iss": issuer, "aud": AUDIENCE, "sub": "x", "client_id": "pacs"}
    usual |= {"scope": "openid segment", "iat": now, "exp": now + 600}
    return usual | claims


class LocalProvider:
    """A provider in this process.

    Attributes
    ----------
    documents
        What it answers by path: JSON, or bytes as they are.
    asked
        Paths that it was asked for.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
            }
        }
        self.asked: list[str] = []
        self._count = 0
        self.rotate()

    def rotate(self) -> None:
        self._count += 1
        self.kid, self.key = f"k{self._count}", ec.generate_private_key(ec.SECP256R1())
        self.documents["/jwks"] = {"keys": [self.public()]}

    def public(self, **fields: Any) -> dict[str, Any]:
        """Return the key in use as a JWK."""
        jwk = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return jwk | {"kid": self.kid, "use": "sig", "alg": "ES256"} | fields

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        fields = {"kid": self.kid} | (header or {})
        told = claims_of(self.issuer, **claims)
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, self.key, "ES256", fields)


@contextmanager
def local_provider() -> Iterator[LocalProvider]:
    """Run one."""
    provider: LocalProvider

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            document = provider.documents.get(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = LocalProvider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class MockServer:
    """The npm package oauth2-mock-server, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.issuer = self._line()

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        return self._ask({"header": header or {}, "claims": claims_of(self.issuer, **claims)})

    def rotate(self) -> None:
        self._ask({"rotate": True})

    def _ask(self, command: dict[str, Any]) -> str:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        line = self._process.stdout.readline().strip()
        assert line, "oauth2-mock-server ended"
        return line


@contextmanager
def mock_server() -> Iterator[MockServer]:
    """Run one; skip the test where it is not installed."""
    program, node = which("oauth2-mock-server"), which("node")
    if program is None or node is None:
        # In CI too: the provider in this process tests the same.
        pytest.skip("needs oauth2-mock-server (npm package oauth2-mock-server)")
    module = Path(program).resolve().with_name("index.mjs")
    script = Path(__file__).with_name("oauth2_mock_server.mjs")
    with subprocess.Popen(
        [node, str(script), str(module)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield MockServer(process)
        process.stdin.close()
        process.wait(timeout=HANG_S)
