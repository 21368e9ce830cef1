"""The line of an association that we request: pynetdicom reads and writes it, in bounds of ours."""

import contextlib
import queue
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, cast

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.service_class_n import StorageCommitmentServiceClass
from pynetdicom.transport import T_CONNECT, AssociationSocket

from service.dimse.associate_pdus import HEAD_BYTES, AnswerReader
from service.tls_files import code_of

MAX_PDU_BYTES = 2**16
"""That we take: the answers are short. How long ours may be, the peer says."""

MAX_MESSAGE_S = 3600.0
"""For one object and its answer, however steadily a peer takes a byte now and then."""


class BoundedSocket(AssociationSocket):
    """A connection that is there already; remembers when bytes last went, and why it failed."""

    def __init__(self, association: Association, line: socket.socket, timeout_s: float) -> None:
        super().__init__(association, client_socket=line)
        # pynetdicom takes it for one that came in (Evt5): this one is to be asked for, and read
        # from then on.
        self.event_queue.get_nowait()
        self._is_connected = False
        self._ready.clear()
        line.settimeout(timeout_s)
        self._timeout_s = timeout_s
        self._answers = AnswerReader(self._received)
        self.fault: str | None = None
        self.moved = time.monotonic()

    def connect(self, primitive: T_CONNECT) -> None:
        """Confirm the connection (Evt2)."""
        self._is_connected = True
        primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        """Receive so many bytes, in time, of a PDU that is not too long and that can be read."""
        return self._answers.receive(nr_bytes)

    def _received(self, nr_bytes: int) -> bytearray:
        if nr_bytes > MAX_PDU_BYTES + HEAD_BYTES:
            raise OSError("the PDU is too long")
        received, until = bytearray(), time.monotonic() + self._timeout_s
        line = cast(socket.socket, self.socket)
        with self._faults():
            while len(received) < nr_bytes:
                if time.monotonic() > until:
                    raise TimeoutError
                piece = line.recv(nr_bytes - len(received))
                if not piece:
                    break
                received += piece
                self.moved = time.monotonic()
        return received

    def send(self, bytestream: bytes) -> None:
        """Send a PDU, a piece at a time; what fails ends the association (Evt17)."""
        rest, line = memoryview(bytestream), self.socket
        try:
            with self._faults():
                while rest:
                    assert line is not None
                    rest = rest[line.send(rest[: 2**16]) :]
                    self.moved = time.monotonic()
        except (OSError, AssertionError):
            self.event_queue.put("Evt17")

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Remember why the line failed."""
        try:
            yield
        except TimeoutError:
            self.fault = "timeout"
            raise
        except ssl.SSLError as error:
            # A peer that leaves without a word has no quarrel with TLS.
            self.fault = None if isinstance(error, ssl.SSLEOFError) else code_of(error)
            raise


class OwnAssociation(Association):
    """An association whose only incoming requests are reports."""

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Take a report, on a thread of its own.

        pynetdicom would clear `_is_paused` after it, for which whoever sends the next message waits
        and which then may never be set again.
        """
        context = self._accepted_cx.get(context_id)
        if self._sent_release or context is None or not isinstance(msg, N_EVENT_REPORT):
            return
        StorageCommitmentServiceClass(self).SCP(msg, context)


class PatientProvider(DIMSEServiceProvider):
    """Waits for an answer as long as bytes move, and `MAX_MESSAGE_S` at most."""

    def __init__(self, association: Association, line: BoundedSocket) -> None:
        super().__init__(association)
        self._line = line

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message, or (None, None) when there is none in time.

        Without `block` pynetdicom's loop looks for requests, and on a slow machine would take the
        answer that another thread waits for; requests do not come this way.
        """
        if not block:
            return None, None
        started = self._line.moved = time.monotonic()
        timeout_s = self.dimse_timeout or MAX_MESSAGE_S
        while True:
            until = min(self._line.moved + timeout_s, started + MAX_MESSAGE_S)
            try:
                return self.msg_queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                if time.monotonic() < min(self._line.moved + timeout_s, started + MAX_MESSAGE_S):
                    continue
                self._line.fault = "timeout"
                # So that nothing waits for the peer any more when pynetdicom aborts.
                shut(self._line.socket)
                return None, None


def shut(line: socket.socket | None) -> None:
    """Close a line for both sides, whoever waits for it."""
    with contextlib.suppress(OSError, ValueError):
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)
