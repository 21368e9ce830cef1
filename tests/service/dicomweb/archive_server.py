"""An archive on the loopback that pages, truncates, repeats and lies as a test wants."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stow_server import Reply

STUDY, SERIES = "1.2.3", "1.2.3.1"
UIDS = [f"1.2.3.1.{number}" for number in range(1, 13)]


@dataclass
class Server:
    """A study on the loopback.

    Attributes
    ----------
    page
        Most results it gives at once.
    pages
        It knows `offset`.
    says_more
        Warning header of what is not all.
    after
        Status of a page behind the last.
    instances, series
        What it lists.
    wado
        Answers a retrieval: content type and body.
    stow
        Answers a store: content type and body come of it.
    asked
        Paths and queries.
    """

    url: str = ""
    page: int = 1000
    pages: bool = True
    says_more: str | None = None
    after: int = 200
    busy: int = 0
    instances: list[Any] = field(default_factory=lambda: [uid_of(uid) for uid in UIDS])
    series: list[Any] = field(default_factory=lambda: [series_of(SERIES)])
    wado: Callable[[str], tuple[str, bytes]] = lambda uid: ("application/dicom", b"")
    stow: Callable[[bytes], Reply] = lambda body: (200, b"")
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, str | None, bytes]:
        listed = self.series if path.endswith("/series") else self.instances
        offset = int(query.get("offset", ["0"])[0]) if self.pages else 0
        limit = min(self.page, int(query.get("limit", ["1000"])[0]))
        found = listed[offset : offset + limit]
        if not found and offset:
            return self.after, None, b"[]" if self.after == 200 else b""
        more = self.says_more if offset + limit < len(listed) else None
        return 200, more, json.dumps(found).encode()


def uid_of(uid: Any) -> dict[str, Any]:
    return {"00080018": {"vr": "UI", "Value": [uid]}}


def series_of(uid: Any, modality: str | None = "MG") -> dict[str, Any]:
    said: dict[str, Any] = {"0020000E": {"vr": "UI", "Value": [uid]}}
    return said if modality is None else said | {"00080060": {"vr": "CS", "Value": [modality]}}


@contextmanager
def running() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if state.busy:
                state.busy -= 1
                self.reply(503, {}, b"")
                return
            parts = urlsplit(self.path)
            *_, last = parts.path.split("/")
            if last in ("series", "instances"):
                status, warning, body = state.answer(parts.path, parse_qs(parts.query))
                headers = {"Content-Type": "application/dicom+json"}
                self.reply(status, headers | ({"Warning": warning} if warning else {}), body)
            else:
                content_type, body = state.wado(last)
                self.reply(200, {"Content-Type": content_type}, body)

        def do_POST(self) -> None:
            answer = state.stow(self.rfile.read(int(self.headers["Content-Length"])))
            assert answer is not None
            self.reply(answer[0], {"Content-Type": "application/dicom+json"}, answer[1])

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
