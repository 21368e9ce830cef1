"""Addresses to listen on: whether one can be had, and what to do where it cannot."""

import errno
import socket

from service.errors import StartupError


def check_address(host: str, port: int) -> None:
    """Take a TCP address and let it go again, before a start that would fail over it takes seconds.

    Raises
    ------
    StartupError
        The address is taken, is not allowed, or is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
                continue  # a kernel without IPv6 still has a localhost of IPv4
            with socket.socket(family, kind, protocol) as probe:
                # As asyncio: connections that have just ended do not hold the address.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
                probe.listen(1)
    except OSError as error:
        raise cannot_listen(host, port, error) from None


def cannot_listen(host: str, port: int, error: OSError) -> StartupError:
    """Return why an address cannot be listened on, with what to do."""
    if error.errno == errno.EADDRINUSE:
        return StartupError(
            f"port {port} of {host} is taken by another program: end that one, or choose another"
            f" port, as with --port {port % 65535 + 1}"
        )
    if error.errno == errno.EACCES:
        return StartupError(f"port {port} is for root alone: choose one from 1024 on with --port")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return StartupError(
            f"{host} is no address of this machine: set MAMMOSEG_HOST to one that is"
            " (127.0.0.1 for this machine alone, 0.0.0.0 for all networks)"
        )
    return StartupError(f"cannot listen on {host}:{port}: {error.strerror}")
