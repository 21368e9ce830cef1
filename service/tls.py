"""TLS of what the service listens on (BCP 195)."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from service import tls_files
from service.tls_files import TlsContext, TlsFiles

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption alone (RFC 9325, 4.2). Those of TLS 1.3
are all of that kind."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Files of TLS, in PEM.

    Attributes
    ----------
    certificate
        The server's, and those between it and its authority.
    key
        Its private key, unencrypted; None where it is in the same file.
    client_ca
        Authorities of clients' certificates: who shows none is not let in. None where anybody is.
    handshake_s
        Longest time for a handshake, seconds.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    handshake_s: float = 10.0

    @property
    def files(self) -> TlsFiles:
        """All of them."""
        return TlsFiles(self.certificate, self.key, self.client_ca)


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """Return a context for new connections: TLS 1.2 or 1.3, HTTP/1.1.

    Raises
    ------
    StartupError
        A file cannot be read, or the key is encrypted or another certificate's.
    """
    context = tls_files.server_context("TLS", options.files, CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    return context


def reloaded_context(options: TlsOptions) -> TlsContext:
    """Return where the context for the next connection is had, made anew when its files change.

    Raises
    ------
    StartupError
        As `server_context`.
    """
    return TlsContext("mammoseg serve", options.files.paths, lambda: server_context(options))
