"""Who takes part in audited events, in the words of PS3.15 A.5.2."""

import ipaddress
from dataclasses import replace

from service.access.caller import Caller
from service.audit.codes import URI, Code
from service.audit.event import Participant

NOT_KNOWN = "<none>"
"""UserID of somebody who has not said who he is."""


def http_caller(caller: Caller | None, address: str) -> Participant:
    """Return who sent a request.

    Parameters
    ----------
    caller
        As access control knows it: a key by its name, a token by its subject. None where nobody is
        asked.
    address
        The sender's.
    """
    where = _readable(address)
    if caller is None:
        return Participant(NOT_KNOWN, address=where)
    return Participant(caller.subject or caller.name, address=where, user_name=caller.name)


def application_entity(ae_title: str, address: str | None) -> Participant:
    """Return a DICOM application, by its AE title."""
    title = ae_title.strip()
    return Participant(
        title or NOT_KNOWN,
        address=_readable(address or ""),
        alternative_user_id=f"AETITLES={title}",
    )


def web_server(url: str, host: str | None) -> Participant:
    """Return a server by the URL of its services, which must not hold credentials."""
    return Participant(url, address=host)


def medium(uri: str, role: Code) -> Participant:
    """Return a place that files come from or go to."""
    return Participant(uri, role=role, media=URI)


def in_role(participant: Participant, role: Code, *, is_requestor: bool = False) -> Participant:
    """Return a participant in its part of an event."""
    return replace(participant, role=role, is_requestor=is_requestor)


def _readable(address: str) -> str | None:
    """Return an address without what IPv6 sockets put around those of IPv4; None for none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address or None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
