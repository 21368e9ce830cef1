"""What `mammoseg serve` opens beside its models; `StartupError` says what cannot be.

The doctor opens the same parts by the same functions, and lets them go: see
`service.doctor.start`.
"""

from typing import TYPE_CHECKING

from service import __version__
from service.access.access import AccessControl
from service.audit.trail import AuditTrail
from service.destinations.destination import ClientOptions
from service.settings import Settings
from service.system.listening import check_address
from service.telemetry.opening import Telemetry, open_telemetry
from service.tls import reloaded_context
from service.tls_files import TlsContext

if TYPE_CHECKING:
    from service.inbox.inbox import Inbox


def check_listening(settings: Settings) -> None:
    """Take the address that is to be listened on, and let it go again.

    Raises
    ------
    StartupError
        It cannot be had.
    """
    check_address(settings.host, settings.port)


def open_access(settings: Settings) -> AccessControl:
    """Return who decides who may come in.

    Raises
    ------
    StartupError
        The settings let nobody in, or everybody, or name a file that is missing or broken.
    """
    return AccessControl(settings.access_options())


def open_tls(settings: Settings) -> TlsContext | None:
    """Return where the context of a new connection is had; None where TLS is not spoken.

    Raises
    ------
    StartupError
        Its files cannot be used.
    """
    options = settings.tls_options()
    return None if options is None else reloaded_context(options)


def open_inbox(settings: Settings) -> "Inbox | None":
    """Open the inbox, if there is somewhere to deliver results.

    Raises
    ------
    StartupError
        It cannot be opened.
    """
    if not settings.destinations:
        return None
    # It takes half a second, in which `serve` could open its models.
    from service.inbox.inbox import Inbox

    return Inbox(settings)


def check_destinations(settings: Settings) -> None:
    """Make a client of each destination, which reaches for nobody, and let it go.

    Raises
    ------
    StartupError
        The TLS files of one cannot be used.
    """
    for destination in settings.destinations:
        destination.client(ClientOptions(settings.scp_ae_title, {}, lambda report: None))


def open_audit(settings: Settings) -> AuditTrail:
    """Return the audit trail, which sends nothing before it is started.

    Raises
    ------
    StartupError
        Its buffer cannot be opened, or its TLS files cannot be used.
    """
    return AuditTrail("mammoseg serve", settings.audit_options(settings.inbox))


def open_watch(settings: Settings) -> Telemetry:
    """Open metrics, the log of inferences, and traces.

    Raises
    ------
    StartupError
        A file cannot be opened, the secret is too short, or OpenTelemetry is not installed.
    """
    return open_telemetry(settings.telemetry_options(), __version__)
