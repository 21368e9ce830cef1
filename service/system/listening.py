"""Addresses to listen on: whether one can be had, and what to do where it cannot."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import StartupError
from service.system.passing import may_pass

EVERY = "::"
"""Listens on every address, of IPv4 and IPv6."""

BOTH = (EVERY, "0.0.0.0")  # noqa: S104 - only where it was asked for
"""The same in addresses of sockets that are each of one family."""


def check_address(host: str, port: int) -> None:
    """Take a TCP address and let it go again, before a start that would fail over it takes seconds.

    Raises
    ------
    StartupError
        The address is taken, is not allowed, or is not this machine's.
    """
    with closing_all(sockets_on(host, port)) as opened:
        try:
            for each in opened:
                each.listen(1)
        except OSError as error:
            raise cannot_listen(host, port, error) from None


def sockets_on(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of a host, bound to one port, which nobody listens on yet.

    `::` is every address, of IPv4, too, each with a socket of its own: through one socket for both
    a caller of IPv4 would have an address of IPv6, which is on nobody's list.

    Raises
    ------
    StartupError
        An address is taken, is not allowed, or is not this machine's.
    """
    opened: list[socket.socket] = []
    try:
        for each in BOTH if host == EVERY else (host,):
            found = socket.getaddrinfo(each, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, kind, protocol, _, address in found:
                if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
                    continue  # a kernel without IPv6 still has a localhost of IPv4
                opened.append(socket.socket(family, kind, protocol))
                # As asyncio: connections that have just ended do not hold the address.
                opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    opened[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                # A free port is the same one for all.
                taken = port or opened[0].getsockname()[1]
                opened[-1].bind((address[0], taken, *address[2:]))
    except OSError as error:
        with closing_all(opened):
            raise cannot_listen(host, port, error) from None
    return opened


@contextmanager
def closing_all(opened: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """Close sockets when the context ends."""
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def cannot_listen(host: str, port: int, error: OSError) -> StartupError:
    """Return why an address cannot be listened on, with what to do."""
    if error.errno == errno.EADDRINUSE:
        return StartupError(
            f"port {port} of {host} is taken by another program: end that one, or choose another"
            f" port, as with --port {port % 65535 + 1}",
            may_pass=True,
        )
    if error.errno == errno.EACCES:
        return StartupError(f"port {port} is for root alone: choose one from 1024 on with --port")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return StartupError(
            f"{host} is no address of this machine: set MAMMOSEG_HOST to one that is"
            " (127.0.0.1 for this machine alone, 0.0.0.0 for all networks)",
            may_pass=True,
        )
    reason = f"cannot listen on {host}:{port}: {error.strerror}"
    return StartupError(reason, may_pass=may_pass(error))
