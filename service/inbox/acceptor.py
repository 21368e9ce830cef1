"""Accepts connections for `mammoseg scp`: a slot is held by an association, not by a connection."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.transport import (
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

from service.audit.events import node_refused
from service.audit.participants import application_entity
from service.audit.trail import NO_TRAIL
from service.dimse.associate_pdus import AnswerReader
from service.inbox.association_request import (
    INVALID,
    NO_SLOT,
    NOT_THAT_CALLER,
    NothingSaid,
    Unacceptable,
    readable,
    receive,
    receive_request,
)
from service.tls_files import TlsContext, code_of

log = structlog.get_logger("mammoseg")

REQUEST_S = 10.0
"""The ARTIM timer (PS3.8 9.1.5), which the standard leaves to us: a request is sent at once."""

NOT_KNOWN_HERE = frozenset(("caller", "tls-certificate"))
"""Codes of refusals that the audit trail is told of: a node that did not prove who it is."""

MAX_WAITING = 64
"""Connections at most that have not sent their request yet. For one more, the oldest is closed: a
real caller would have sent it long before."""


class Slots:
    """So many associations at once.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a slot; False when there is none."""
        with self._lock:
            if self._taken >= self._most:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """Let go of a slot."""
        with self._lock:
            self._taken -= 1


class Waiting:
    """Connections whose request has not come yet; the oldest makes room for the newest."""

    def __init__(self) -> None:
        self._lines: dict[socket.socket, None] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def entered(self, line: socket.socket) -> Iterator[None]:
        """Hold a connection among them."""
        with self._lock:
            while len(self._lines) >= MAX_WAITING:
                oldest = next(iter(self._lines))
                del self._lines[oldest]
                _hang_up(oldest)
            self._lines[line] = None
        try:
            yield
        finally:
            with self._lock:
                self._lines.pop(line, None)

    def close_all(self) -> None:
        """Close them: nobody will listen."""
        with self._lock:
            for line in self._lines:
                _hang_up(line)


class Acceptor(ThreadedAssociationServer):
    """The listening socket; `Application Entity` makes it, `begin` completes it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # First: what cannot listen is closed by its own constructor.
        self.waiting = Waiting()
        super().__init__(*arguments, **options | {"request_handler": Caller})
        self.slots = Slots(1)
        self.callers: frozenset[str] = frozenset()
        self.pdu_bytes, self.pdu_s = 2**17, 60.0
        self.tls: TlsContext | None = None
        self.audit = NO_TRAIL

    def server_close(self) -> None:
        """Stop listening, and to those who have not asked yet."""
        super().server_close()
        self.waiting.close_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log a fault without what it was about."""
        log.error("scp-fault", error="connection")


class Caller(RequestHandler):
    """One connection: its request is read and answered, or becomes an association."""

    def handle(self) -> None:
        """Take the connection from its first byte to its end."""
        server = cast(Acceptor, self.server)
        try:
            line = self.request = _wrapped(self.request, server.tls)
            with server.waiting.entered(line):
                _agree_on_tls(line)
                request = _understood(receive_request(line, REQUEST_S))
        except NothingSaid:
            self._end(b"")
            return
        except Unacceptable as fault:
            self._refuse(fault.code, fault.answer)
            return
        if server.callers and request.calling_ae_title.strip() not in server.callers:
            self._refuse("caller", NOT_THAT_CALLER, request.calling_ae_title)
            return
        if not server.slots.take():
            self._refuse("associations", NO_SLOT)
            return
        try:
            self._associate(line, request)
        finally:
            server.slots.give_back()

    def _associate(self, line: socket.socket, request: A_ASSOCIATE_RQ) -> None:
        server = cast(Acceptor, self.server)
        association = self._create_association()
        bound_reading(association, line, server.pdu_bytes, server.pdu_s)
        # As if pynetdicom had read it: the state machine finds it behind Evt5, the connection.
        association.dul._recv_pdu.put(request)
        association.dul.event_queue.put("Evt6")
        evt.trigger(association, evt.EVT_CONN_OPEN, {"address": self.client_address})
        association.start()
        association.join()

    def _refuse(self, code: str, answer: bytes, ae_title: str = "") -> None:
        log.warning("scp-refused", code=code, peer=self.client_address[0])
        audit = cast(Acceptor, self.server).audit
        if code in NOT_KNOWN_HERE:
            who = application_entity(ae_title, self.client_address[0])
            audit.record([node_refused(who, audit.process, code)])
        self._end(answer)

    def _end(self, last_words: bytes) -> None:
        line = cast(socket.socket, self.request)
        with contextlib.suppress(OSError):
            line.settimeout(1.0)
            line.sendall(last_words)
        self.server.shutdown_request(line)


def _wrapped(line: socket.socket, tls: TlsContext | None) -> socket.socket:
    """Return a line that is to speak TLS, if any is asked for; nothing is said on it yet."""
    if tls is None:
        return line
    try:
        return tls.current().wrap_socket(line, server_side=True, do_handshake_on_connect=False)
    except (OSError, ValueError):
        raise NothingSaid from None


def _agree_on_tls(line: socket.socket) -> None:
    """Shake hands, if the line speaks TLS; both sides' certificates are checked by that."""
    if not isinstance(line, ssl.SSLSocket):
        return
    line.settimeout(REQUEST_S)
    try:
        line.do_handshake()
    except ssl.SSLEOFError:
        raise NothingSaid from None
    except ssl.SSLError as error:
        raise Unacceptable(code_of(error), b"") from None
    except (OSError, ValueError):
        raise NothingSaid from None


def _understood(request: bytes) -> A_ASSOCIATE_RQ:
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(readable(request))
        pdu.to_primitive()
    except Unacceptable:
        raise
    except Exception:
        # pynetdicom raises whatever its converters meet.
        raise Unacceptable("request-malformed", INVALID) from None
    return pdu


def bound_reading(association: Association, line: socket.socket, most: int, seconds: float) -> None:
    """Refuse a PDU that is longer than was agreed, or that takes too long.

    pynetdicom would read all of the first into memory, and wait for the second for ever. It would
    also fail at an A-ABORT whose reason is reserved.
    """

    def bounded(size: int) -> bytearray:
        if size > most:
            raise OSError("the PDU is too long")
        return bytearray(receive(line, size, time.monotonic() + seconds))

    reader = AnswerReader(bounded)
    cast(AssociationSocket, association.dul.socket).recv = reader.receive  # type: ignore[assignment]
    line.settimeout(seconds)


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        line.shutdown(socket.SHUT_RDWR)
