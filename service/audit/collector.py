"""Connections to a collector of audit messages: syslog over TLS, TCP or UDP."""

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

from service.audit.syslog import frame
from service.tls_files import TlsContext, code_of

Transport = Literal["tls", "tcp", "udp"]

PORTS: dict[Transport, int] = {"tls": 6514, "tcp": 601, "udp": 514}
"""Where the URL names none (RFC 5425 4.1, RFC 6587 is without one and RFC 3195's is used, RFC 5426
3.3)."""

TIMEOUT_S = 10.0
"""To connect, and to take a message."""

VERDICT_S = 0.25
"""For a collector of TLS 1.3 to refuse our certificate: it does so after the handshake, and what is
sent meanwhile would bury the reason in a reset."""

CLOSE_S = 3.0
"""To read what was sent, and close."""


class CollectorFails(Exception):
    """The collector cannot be reached, or does not take messages.

    Parameters
    ----------
    code
        Why.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CollectorAddress:
    """Where a collector listens."""

    transport: Transport
    host: str
    port: int


def parse_address(url: str) -> CollectorAddress:
    """Return the address of syslog-tls://HOST:PORT, syslog-tcp://... or syslog-udp://...

    Raises
    ------
    ValueError
        It is no such URL.
    """
    parts = urlsplit(url)
    transport: Transport
    for transport in PORTS:
        if parts.scheme == f"syslog-{transport}":
            break
    else:
        raise ValueError("begins with syslog-tls://, syslog-tcp:// or syslog-udp://")
    if not parts.hostname or "@" in parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError("names a host and a port, and nothing else")
    port = parts.port if parts.port is not None else PORTS[transport]
    if port == 0:
        raise ValueError("the port is no port")
    return CollectorAddress(transport, parts.hostname, port)


class Connection(Protocol):
    """A connection; every method raises CollectorFails once it is broken."""

    def send(self, message: bytes) -> None:
        """Give a message to the network."""

    def check(self) -> None:
        """See whether the collector is still there."""

    def is_acknowledged(self) -> bool:
        """Tell whether the collector's machine has all that was sent."""

    def close(self) -> bool:
        """End it; tell whether the collector has read all that was sent."""


def connect(address: CollectorAddress, tls: TlsContext | None) -> Connection:
    """Connect; `tls` is of the transport `tls`.

    Raises
    ------
    CollectorFails
        It cannot be reached.
    """
    with _faults():
        if address.transport == "udp":
            return DatagramConnection(_datagram_socket(address))
        line = socket.create_connection((address.host, address.port), TIMEOUT_S)
    try:
        return _stream(line, address.host, tls)
    except BaseException:
        line.close()
        raise


def _stream(line: socket.socket, host: str, tls: TlsContext | None) -> "StreamConnection":
    """Return a connection over a line on which nothing was said yet."""
    with _faults():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if line.getsockname() == line.getpeername():
            # On this machine, where nobody listens, TCP may connect a socket to itself.
            raise CollectorFails("unreachable")
        if tls is None:
            return StreamConnection(line)
        secured = tls.current().wrap_socket(line, server_hostname=host)
    connection = StreamConnection(secured)
    try:
        select.select([secured], [], [], VERDICT_S)
        connection.check()
    except BaseException:
        secured.close()
        raise
    return connection


def _datagram_socket(address: CollectorAddress) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_DGRAM
    )[0]
    line = socket.socket(family, kind, protocol)
    line.connect(where)
    return line


class DatagramConnection:
    """Syslog over UDP (RFC 5426): nobody learns whether a message arrives."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def send(self, message: bytes) -> None:
        """As `Connection.send`; one datagram."""
        with _faults():
            self._line.send(message)

    def check(self) -> None:
        """As `Connection.check`; there is nothing to see."""

    def is_acknowledged(self) -> bool:
        """As `Connection.is_acknowledged`; taken for granted."""
        return True

    def close(self) -> bool:
        """As `Connection.close`."""
        self._line.close()
        return True


class StreamConnection:
    """Syslog over TLS (RFC 5425), or over TCP.

    A collector never says that it has a message. So it is watched: until it has taken the
    connection's end in order, or has lived on for a while, it may not have read what was sent.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def send(self, message: bytes) -> None:
        """As `Connection.send`."""
        with _faults():
            self._line.sendall(frame(message))

    def check(self) -> None:
        """As `Connection.check`: it has nothing to say but that it leaves."""
        with _faults():
            pending = isinstance(self._line, ssl.SSLSocket) and self._line.pending()
            if not pending and not select.select([self._line], [], [], 0)[0]:
                return
            self._line.setblocking(False)
            try:
                # The tickets of TLS 1.3 come here, too, and are no data.
                said = self._line.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            finally:
                self._line.settimeout(TIMEOUT_S)
        if not said:
            raise CollectorFails("closed")

    def is_acknowledged(self) -> bool:
        """As `Connection.is_acknowledged`, by TCP's own acknowledgements (Linux: SIOCOUTQ)."""
        with _faults():
            try:
                told = fcntl.ioctl(self._line.fileno(), termios.TIOCOUTQ, bytes(4))
            except OSError:
                return True
            return bool(struct.unpack("i", told)[0] == 0)

    def close(self) -> bool:
        """As `Connection.close`: its own end comes after it has read all; a reset does not."""
        line = self._line
        try:
            line.settimeout(CLOSE_S)
            if isinstance(line, ssl.SSLSocket):
                with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    line = line.unwrap()
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass
        except (OSError, ValueError):
            return False
        finally:
            self._line.close()
            line.close()
        return True


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Raise CollectorFails for whatever the line, the name or TLS does."""
    try:
        yield
    except TimeoutError:
        raise CollectorFails("timeout") from None
    except ssl.SSLEOFError:
        raise CollectorFails("closed") from None
    except ssl.SSLError as error:
        raise CollectorFails(code_of(error)) from None
    except socket.gaierror:
        raise CollectorFails("host-unknown") from None
    except (OSError, ValueError):
        raise CollectorFails("unreachable") from None
