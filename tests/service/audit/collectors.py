"""Collectors of audit messages: one of our own that can be rude, and rsyslog."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from tests.certificates import Authority, Issued
from tests.programs import require_program, skip_or_fail
from tests.waiting import HANG_S, comes_true

FRAME = re.compile(rb"(\d+) ")
SEQUENCE_ID = re.compile(rb'\[meta sequenceId="(\d+)"\]')


def sequence_ids(messages: list[bytes]) -> list[int]:
    """Return the number of each message."""
    return [int(SEQUENCE_ID.search(message)[1]) for message in messages]


def content_of(message: bytes) -> bytes:
    """Return the XML of a message."""
    return message.partition(b"\xef\xbb\xbf")[2]


class Collector:
    """Listens on the loopback while in its context, and keeps the messages that it reads.

    Parameters
    ----------
    context
        Of TLS; None for TCP in the clear.
    port
        0 takes a free one.
    most
        Messages after which the connection is reset; None never.
    host
        Where it listens.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        port: int = 0,
        most: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._context, self._most = context, most
        self.messages: list[bytes] = []
        self.refused: list[str] = []
        self.connections = 0
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server((host, port))
        self.port = int(self._listener.getsockname()[1])
        self._is_closed = False

    def __enter__(self) -> "Collector":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._take, args=[line], daemon=True).start()

    def _take(self, line: socket.socket) -> None:
        try:
            if self._context is not None:
                line = self._context.wrap_socket(line, server_side=True)
                self._lines.append(line)
            self.connections += 1
            self._read(line)
        except ssl.SSLError as error:
            self.refused.append(error.reason or "")
        except OSError:
            pass
        finally:
            line.close()

    def _read(self, line: socket.socket) -> None:
        held, taken = b"", 0
        while piece := line.recv(65536):
            held += piece
            while (head := FRAME.match(held)) and len(held) >= head.end() + int(head[1]):
                end = head.end() + int(head[1])
                self.messages.append(held[head.end() : end])
                held, taken = held[end:], taken + 1
                if taken == self._most:
                    # Closed while there is more to read: the sender sees a reset.
                    return


def server_context(issued: Issued, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return the context of a collector."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k"
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/certvalid")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="raw" type="list") {{ property(name="rawmsg") constant(value="\\n") }}
template(name="parts" type="list") {{
  property(name="pri") constant(value="|") property(name="app-name") constant(value="|")
  property(name="msgid") constant(value="|") property(name="structured-data") constant(value="\\n")
}}
*.* action(type="omfile" file="{folder}/raw" template="raw")
*.* action(type="omfile" file="{folder}/parts" template="parts")
"""


class Rsyslog:
    """rsyslog with gnutls on a port of the loopback, while in its context.

    It asks for a client's certificate of the authority, whose server's certificate it shows.
    """

    def __init__(self, folder: Path, authority: Authority, port: int) -> None:
        self._program = require_program("rsyslogd", "rsyslog")
        if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
            skip_or_fail("needs lmnsd_gtls.so (package rsyslog-gnutls)")
        folder.mkdir(exist_ok=True)
        self._folder, self._port = folder, port
        self.raw, self.parts = folder / "raw", folder / "parts"
        issued = authority.issue("rsyslog")
        (folder / "rsyslog.conf").write_text(
            RSYSLOG.format(
                folder=folder,
                port=port,
                ca=authority.file,
                certificate=issued.certificate,
                key=issued.key,
            )
        )

    def start(self) -> None:
        """Start, and wait until it listens."""
        (self._folder / "pid").unlink(missing_ok=True)
        with (self._folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [self._program, "-n", "-f", "rsyslog.conf", "-i", "pid"],
                cwd=self._folder,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        assert comes_true(lambda: _listens(self._port))

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self._process.kill()
        self._process.wait(HANG_S)

    def messages(self) -> list[bytes]:
        """Return what it took."""
        return self.raw.read_bytes().splitlines() if self.raw.is_file() else []

    def __enter__(self) -> "Rsyslog":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False
