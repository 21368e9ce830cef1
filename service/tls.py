"""TLS of what the service listens on (BCP 195)."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from service.errors import StartupError
from service.tls_files import TlsContext

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
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(file for file in (self.certificate, self.key, self.client_ca) if file)


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """Return a context for new connections: TLS 1.2 or 1.3, HTTP/1.1.

    Raises
    ------
    StartupError
        A file cannot be read, or the key is encrypted or another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        # Without a password given, OpenSSL would ask the terminal for one.
        context.load_cert_chain(options.certificate, options.key, password=lambda: "")
    except OSError as error:
        raise StartupError(f"TLS: certificate and key: {_reason(error)}") from None
    if options.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # A session that is resumed would outlive the certificate that began it.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        try:
            context.load_verify_locations(options.client_ca)
        except OSError as error:
            raise StartupError(f"TLS: authorities of clients: {_reason(error)}") from None
    return context


def reloaded_context(options: TlsOptions) -> TlsContext:
    """Return where the context for the next connection is had, made anew when its files change.

    Raises
    ------
    StartupError
        As `server_context`.
    """
    return TlsContext("mammoseg serve", options.files, lambda: server_context(options))


def _reason(error: OSError) -> str:
    """Return why, in words of OpenSSL or the system that quote no file."""
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
