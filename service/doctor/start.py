"""Asks what `mammoseg serve` asks before it serves: whether it can be had on this machine."""

import ssl
from collections.abc import Callable, Iterator

import httpx

from service.doctor.check import Check, mend, note, well
from service.doctor.rehearsal import rehearse_audit, rehearse_inbox, rehearse_watch
from service.errors import StartupError
from service.probe import addresses
from service.settings import Settings
from service.startup.limits import check_limits, tasks_needed
from service.startup.parts import check_listening, open_access, open_tls

ADVICE = "`mammoseg serve` would not start: see docs/settings.md"
ASKED_S = 3.0


def start_checks(settings: Settings) -> Iterator[Check]:
    """Yield for each part that `serve` opens beside its models whether it could; none is left."""
    yield address_check(settings)
    yield limits_check(settings)
    looks: dict[str, Callable[[Settings], str]] = {
        "access": _look_at_access,
        "tls": _look_at_tls,
        "inbox": _look_at_inbox,
        "audit": _look_at_audit,
        "telemetry": _look_at_telemetry,
    }
    for name, look in looks.items():
        try:
            yield well(name, look(settings))
        except StartupError as error:
            yield mend(name, str(error), ADVICE)


def address_check(settings: Settings) -> Check:
    """Check that the address can be had, unless it is the service itself that has it."""
    where = f"{settings.host}:{settings.port}"
    try:
        check_listening(settings)
    except StartupError as error:
        if settings.port and _is_served(settings):
            return well("address", f"{where}, where a mammoseg is serving")
        if settings.tls_client_ca is not None:
            advice = "well if it is the service that runs, which asks the doctor for a certificate"
            return note("address", str(error), advice)
        return mend("address", str(error), ADVICE)
    return well("address", f"{where} is free")


def limits_check(settings: Settings) -> Check:
    """Check that the system lets the service have its threads and addresses."""
    try:
        check_limits(settings)
    except StartupError as error:
        if error.may_pass:
            return note("limits", str(error), "well if it is the service that has them")
        return mend("limits", str(error), ADVICE)
    return well("limits", f"room for {tasks_needed(settings)} processes and threads")


def _is_served(settings: Settings) -> bool:
    """Ask whoever listens there already whether it is a mammoseg."""
    return any(_is_served_at(address, settings) for address in addresses(settings.host))


def _is_served_at(address: str, settings: Settings) -> bool:
    host = f"[{address}]" if ":" in address else address
    scheme = "http" if settings.tls_certificate is None else "https"
    # Its certificate need not name the address, and nothing is sent.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verify.check_hostname, verify.verify_mode = False, ssl.CERT_NONE
    try:
        answer = httpx.get(
            f"{scheme}://{host}:{settings.port}/health/ready",
            timeout=ASKED_S,
            verify=verify,
            trust_env=False,
        )
        said = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    return isinstance(said, dict) and {"status", "model", "version", "device"} <= said.keys()


def _look_at_access(settings: Settings) -> str:
    options = settings.access_options()
    open_access(settings)
    if options.allow_anonymous:
        return "anybody is let in, on every address (MAMMOSEG_ALLOW_ANONYMOUS)"
    keys = [] if options.keys_file is None else [f"keys of {options.keys_file}"]
    tokens = [] if options.oidc is None else [f"tokens of {options.oidc.issuer}"]
    return ", ".join(keys + tokens) or "this machine alone is let in, without keys"


def _look_at_tls(settings: Settings) -> str:
    open_tls(settings)
    if settings.tls_certificate is None:
        return "is not spoken"
    clients = "" if settings.tls_client_ca is None else ", and asks clients for certificates"
    return f"shows {settings.tls_certificate}{clients}"


def _look_at_inbox(settings: Settings) -> str:
    if not settings.destinations:
        return "none: MAMMOSEG_DESTINATIONS names nobody to deliver to"
    rehearse_inbox(settings)
    database = "" if settings.inbox_database is None else ", and a database of PostgreSQL"
    return f"{settings.inbox}{database}"


def _look_at_audit(settings: Settings) -> str:
    options = settings.audit_options(settings.inbox)
    if options is None:
        return "off"
    rehearse_audit(options)
    return f"to {options.collector.host} by {options.collector.transport}, from {options.folder}"


def _look_at_telemetry(settings: Settings) -> str:
    rehearse_watch(settings)
    traces = "off" if settings.trace_endpoint is None else settings.trace_endpoint
    return f"log of inferences: {settings.inference_log}; traces: {traces}"
