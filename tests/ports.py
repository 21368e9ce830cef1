"""TCP ports for the servers of tests, which several processes start at once."""

import socket
import sys

from service.system import server_process


def free_port() -> int:
    """Return a TCP port of the loopback that nobody else takes while this process lives.

    Between the question which one is free and the server that listens there, a model may be
    loaded. On Linux, a socket that does not listen holds the port: servers, which set SO_REUSEADDR,
    listen beside it; whoever connects before they do is refused, and whoever asks the system for
    a free port gets another. Elsewhere, it is free now.
    """
    if sys.platform != "linux":
        return server_process.free_port()
    holder = socket.socket()
    holder.bind((server_process.LOOPBACK, 0))
    # After it is bound: else the system may choose a port that another one holds.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = int(holder.getsockname()[1])
    # Open until the process ends.
    holder.detach()
    return port
