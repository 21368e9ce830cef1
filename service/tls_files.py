"""TLS by files of certificates and keys, which may change while the service runs.

Under DICOM it is the profile of PS3.15 B.12 (BCP 195: RFC 8996 and 9325): TLS 1.2 and 1.3, and of
1.2 the four suites that RFC 9325, 4.2 recommends.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog

from service.errors import StartupError
from service.system.file_watch import FileWatch
from service.system.passing import may_pass

log = structlog.get_logger("mammoseg")

DICOM_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
"""Of TLS 1.2. Those of 1.3 are all in the profile."""

_SECURITY_LEVEL = "@SECLEVEL=2"
"""Of OpenSSL: no key of RSA under 2048 bits, none of ECDSA under 224, no signature by SHA-1."""

DICOM_CIPHERS = ":".join((_SECURITY_LEVEL, *DICOM_SUITES))
"""What the profile leaves of TLS 1.2, as OpenSSL writes it."""

_OF_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA")
"""In OpenSSL's reasons, also in those of an alert that the other side sent."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files.

    Attributes
    ----------
    certificate, key
        Ours, with what comes between it and an authority, and its key, which is not encrypted; both
        or neither. The key may lie in the certificate's file.
    ca
        Authorities that the other side's certificate is checked against.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that there are."""
        return tuple(file for file in (self.certificate, self.key, self.ca) if file)


def client_context(
    files: TlsFiles, *, verify: bool = True, verify_host: bool = True, dicom: bool = False
) -> ssl.SSLContext:
    """Make the context of who connects.

    Parameters
    ----------
    files
        Without `ca` the system's authorities count.
    verify
        Check the server's certificate.
    verify_host
        Check that it is of the host that was asked for, too.
    dicom
        Keep to the profile of PS3.15 B.12.

    Raises
    ------
    OSError
        A file cannot be read, or is not what it should be (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = verify and verify_host
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if files.ca is not None:
        context.load_verify_locations(cafile=files.ca)
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _completed(context, files, DICOM_CIPHERS if dicom else None)


def server_context(name: str, files: TlsFiles, ciphers: str) -> ssl.SSLContext:
    """Make the context of who listens; with `ca` it asks for a client's certificate.

    Parameters
    ----------
    name
        What the files are, for the operator.
    files
        Ours, and whom we trust.
    ciphers
        Of TLS 1.2, as OpenSSL writes them.

    Raises
    ------
    StartupError
        A file cannot be read, or the key is encrypted or another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if files.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # A session that is resumed would outlive the certificate that began it. Those that the
        # server itself remembers (TLS 1.2, two hours) cannot be turned off, so they are looked at.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        context.sslobject_class, context.sslsocket_class = _InMemory, _OnSocket
        with _told(f"{name}: authorities of clients"):
            context.load_verify_locations(cafile=files.ca)
    with _told(f"{name}: certificate and key"):
        return _completed(context, files, ciphers)


class _InMemory(ssl.SSLObject):
    """A client's connection of asyncio."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _refuse_expired(self)


class _OnSocket(ssl.SSLSocket):
    """A client's connection."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _refuse_expired(self)


def _refuse_expired(connection: ssl.SSLObject | ssl.SSLSocket) -> None:
    """Refuse a session that was resumed after its certificate had expired."""
    if not connection.session_reused:
        return
    ends = (connection.getpeercert() or {}).get("notAfter")
    if not isinstance(ends, str) or ssl.cert_time_to_seconds(ends) < time.time():
        raise ssl.SSLCertVerificationError(1, "the certificate of a resumed session has expired")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say what cannot be read, in words of OpenSSL or the system that quote no file."""
    try:
        yield
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise StartupError(f"{what}: {reason}", may_pass=may_pass(error)) from None


def _completed(context: ssl.SSLContext, files: TlsFiles, ciphers: str | None) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if files.certificate is not None:
        # Without a password OpenSSL would ask for one at the terminal, and wait.
        context.load_cert_chain(files.certificate, files.key, password="")
    return context


def code_of(error: OSError) -> str:
    """Say why a handshake failed: a certificate that is not valid here, or anything else."""
    reason = (getattr(error, "reason", None) or "").upper()
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls-certificate"
    return "tls-certificate" if any(word in reason for word in _OF_CERTIFICATES) else "tls"


class TlsContext:
    """The context for the next connection, made anew once its files hold something else.

    Connections that are open keep theirs.

    Parameters
    ----------
    name
        Of whom, for the operator.
    paths
        The files that it is made of.
    make
        Makes it of them. A `StartupError` of its own says more than what is said here.

    Raises
    ------
    StartupError
        A file cannot be read, or is not what it should be.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], make: Callable[[], ssl.SSLContext]
    ) -> None:
        self._name, self._paths, self._make = name, paths, make
        self._lock = threading.Lock()
        self._watch = FileWatch(paths)
        self._contents = self._read()
        self._context = self._made()
        self._fault = ""

    def look(self) -> None:
        """Read the files again if they changed; files that go not together leave what was there.

        They are tried again at each look until they do.
        """
        with self._lock:
            if not self._watch.look().is_due:
                return
            contents = self._read()
            changed, before = contents != self._contents, self._fault
            if not changed and not before:
                return
            self._contents, self._fault = contents, ""
            try:
                self._context = self._made()
            except StartupError as error:
                self._fault = str(error)
                self._watch.mark_unread()
                if changed or self._fault != before:
                    log.error("tls-files-broken", of=self._name, reason=self._fault)
            else:
                log.info("tls-files-read", of=self._name)

    def current(self) -> ssl.SSLContext:
        """Return the context of the files as they are; the last good one while they are not."""
        self.look()
        return self._context

    def _read(self) -> list[bytes | None]:
        return [_digest(path) for path in self._paths]

    def _made(self) -> ssl.SSLContext:
        try:
            return self._make()
        except (OSError, ValueError):
            raise StartupError(
                f"the TLS files of {self._name} cannot be read: a certificate and its key, which "
                "is not encrypted, and authorities, each as PEM"
            ) from None


def _digest(path: Path) -> bytes | None:
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None
