"""A DICOMweb server that keeps what it gets, with every byte, and answers as a test wants."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread

Reply = tuple[int, bytes] | None
"""Status and body; None closes the connection without a word."""


@dataclass
class StowServer:
    """What came, and how it is answered.

    Attributes
    ----------
    url
        Root of its DICOMweb services.
    received
        Every file by SOP Instance UID, in the order they came.
    headers
        Of each request.
    reply
        Given a SOP Instance UID and how often it came, says what to answer; by default that it was
        stored. What is answered with an error is in `received` all the same.
    """

    url: str = ""
    received: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    headers: list[dict[str, str]] = field(default_factory=list)
    reply: Callable[[str, int], Reply] = lambda uid, times: stored(uid)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, content_type: str, body: bytes) -> Reply:
        """Keep the one file of a request."""
        boundary = content_type.rpartition("boundary=")[2].strip('"').encode()
        (part,) = body.removeprefix(b"--" + boundary).split(b"\r\n--" + boundary)[:-1]
        file = part.partition(b"\r\n\r\n")[2]
        uid = str(dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)
        with self.lock:
            self.received[uid].append(file)
            times = len(self.received[uid])
        return self.reply(uid, times)


def stored(uid: str) -> Reply:
    """Say that an instance was stored."""
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    return 200, json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()


def failed(uid: str, reason: int, status: int = 409) -> Reply:
    """Say that an instance was not stored, and why."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    item["00081197"] = {"vr": "US", "Value": [reason]}
    return status, json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


@contextmanager
def stow_server(port: int = 0) -> Iterator[StowServer]:
    """Run one on the loopback."""
    state = StowServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died
                self.close_connection = True
                return
            with state.lock:
                state.headers.append(dict(self.headers))
            reply = state.take(self.headers["Content-Type"], body)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply[0])
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(reply[1])))
            self.end_headers()
            self.wfile.write(reply[1])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
