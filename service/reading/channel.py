"""Whole messages over a Unix socket: each its length in four bytes, then itself.

Who waits for a message says until when, so that half of one keeps nobody waiting.
"""

import math
import select
import socket
import struct
import time

LENGTH = struct.Struct("<I")

MAX_MESSAGE_BYTES = 2**20
"""A header with two look-up tables of 128 KiB, and a bound on what anybody is made to hold."""

MAX_WAIT_S = 3600.0


class BadMessage(Exception):
    """What the other end said is no message, or not the one that was asked for."""


class Channel:
    """One end; for one thread at a time.

    Parameters
    ----------
    connection
        A connected stream socket; it is this object's from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    @property
    def has_input(self) -> bool:
        """Something came, or the other end is gone."""
        if self._socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def send(self, message: bytes, file: int | None = None, until: float = math.inf) -> None:
        """Send a message, and a descriptor with it.

        Raises
        ------
        TimeoutError
            The other end has not taken it by `until`, a monotonic time in seconds.
        OSError
            It is gone.
        """
        data = memoryview(LENGTH.pack(len(message)) + message)
        if file is not None:
            self._wait_at_most(until)
            data = data[socket.send_fds(self._socket, [data], [file]) :]
        if data:
            self._wait_at_most(until)
            self._socket.sendall(data)

    def receive(self, until: float = math.inf) -> bytes:
        """Return the next message; a descriptor that comes with it is dropped.

        Raises
        ------
        TimeoutError
            It is not there, as a whole, by `until`, a monotonic time in seconds.
        BadMessage
            It is longer than any.
        EOFError, OSError
            The other end is gone.
        """
        return self._take(_length(self._take(LENGTH.size, until)), until)

    def receive_with_file(self) -> tuple[bytes, int | None]:
        """Wait for the next message, and return it with the descriptor that came with it."""
        head, files, _, _ = socket.recv_fds(self._socket, LENGTH.size, 1)
        if not head:
            raise EOFError
        head += self._take(LENGTH.size - len(head), math.inf)
        return self._take(_length(head), math.inf), files[0] if files else None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _take(self, length: int, until: float) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._wait_at_most(until)
            part = self._socket.recv(length - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def _wait_at_most(self, until: float) -> None:
        if until == math.inf:
            self._socket.settimeout(None)
            return
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(left, MAX_WAIT_S))


def _length(head: bytes) -> int:
    length = int(LENGTH.unpack(head)[0])
    if length > MAX_MESSAGE_BYTES:
        raise BadMessage
    return length
