"""Looks at the settings, and on request at the destinations they name."""

import os
from collections.abc import Iterator, Mapping

import httpx
from pydantic import ValidationError

from service.destinations.destination import ClientOptions
from service.destinations.store import DicomDestination
from service.destinations.stow import StowDestination
from service.dimse.store_status import NotDelivered
from service.doctor.check import Check, mend, note, well
from service.errors import StartupError
from service.settings import Settings
from service.terminal import PREFIX, RETIRED, unknown_variables
from service.tls_files import client_context

ADVICE = "see docs/settings.md"
ASKED_S = 5.0

NO_QUERY = frozenset((404, 405, 501))
"""What servers without QIDO-RS answer, and servers whose URL leads elsewhere."""


def read_settings(environment: Mapping[str, str] = os.environ) -> tuple[Settings | None, Check]:
    """Return the settings, unless they are wrong, and what there is to say of them."""
    faults = unknown_variables(environment)
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        # Their values may be secrets.
        faults += [
            ": ".join((*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")))
            for fault in error.errors()
        ]
    if faults:
        return None, mend("settings", "; ".join(faults), ADVICE)
    names = sorted(name for name in map(str.upper, environment) if name.startswith(PREFIX))
    retired = [name for name in names if name in RETIRED]
    if retired:
        return settings, note("settings", f"{', '.join(retired)} does nothing any more", ADVICE)
    given = ", ".join(name.removeprefix(PREFIX) for name in names)
    return settings, well("settings", f"set: {given}" if given else "all as by default")


def destination_checks(settings: Settings) -> Iterator[Check]:
    """Ask each destination whether it is there; nothing is stored."""
    if not settings.destinations:
        yield well("destinations", "none is set, so there is no inbox")
    for destination in settings.destinations:
        if isinstance(destination, DicomDestination):
            yield archive_check(destination, settings.scp_ae_title)
        else:
            yield destination_check(destination)


def archive_check(destination: DicomDestination, ae_title: str) -> Check:
    """Associate with an archive, and judge what comes of it; nothing is stored."""
    name = f"destination {destination.name}"
    short = destination.model_copy(update={"timeout_s": min(ASKED_S, destination.timeout_s)})
    try:
        short.client(ClientOptions(ae_title, {}, lambda report: None)).ask_whether_there()
    except StartupError as error:
        return mend(name, str(error), "look at the files that MAMMOSEG_DESTINATIONS names")
    except NotDelivered as error:
        if error.code == "contexts-rejected":
            return note(name, "answers, but knows no C-ECHO", "which does no harm")
        return mend(name, f"does not associate: {error.code}", "see docs/destinations.md")
    return well(name, "associates with us")


def destination_check(destination: StowDestination) -> Check:
    """Ask a destination for one study (QIDO-RS, PS3.18 10.6), and judge its answer."""
    name, auth = f"destination {destination.name}", None
    headers = {"Accept": "application/dicom+json"}
    if destination.token is not None:
        headers["Authorization"] = f"Bearer {destination.token.get_secret_value()}"
    if destination.username is not None and destination.password is not None:
        auth = httpx.BasicAuth(destination.username, destination.password.get_secret_value())
    try:
        verify = client_context(
            destination.tls_files, verify=destination.verify, verify_host=destination.verify_host
        )
        answer = httpx.get(
            f"{destination.studies_url}?limit=1",
            headers=headers,
            auth=auth,
            verify=verify,
            timeout=ASKED_S,
        )
    except httpx.TimeoutException:
        return mend(name, "does not answer in time", "is it up, and is a firewall between?")
    except (httpx.HTTPError, OSError) as error:
        advice = "check its name, port and certificate; docs/inbox.md"
        return mend(name, f"cannot be reached: {type(error).__name__}", advice)
    if answer.status_code in (401, 403):
        advice = "its credentials are wrong: MAMMOSEG_DESTINATIONS"
        return mend(name, f"answers {answer.status_code}", advice)
    if answer.status_code in NO_QUERY:
        advice = "its URL is no root of DICOMweb services; or it has no QIDO-RS, which does no harm"
        return note(name, f"answers {answer.status_code}", advice)
    if answer.status_code >= 500:
        return mend(name, f"answers {answer.status_code}", "look at its own log")
    return well(name, f"answers {answer.status_code}")
