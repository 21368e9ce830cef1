"""Syslog: the message of RFC 5424, and how it is told from the next one on a stream (RFC 5425)."""

import re
from datetime import datetime

from service.audit.event import EventOutcome

FACILITY = 10
"""Security and authorization messages (PS3.15 A.6)."""

NOTICE, WARNING = 5, 4
"""Severities; PS3.15 A.6 has the first as a rule, the second where it fits better."""

APP_NAME = "mammoseg"
MESSAGE_ID = "DICOM+RFC3881"
"""MSGID of such messages (PS3.15 A.6)."""

MAX_SEQUENCE_ID = 2**31 - 1
"""Then it begins at 1 again (RFC 5424 7.3.1)."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Says that the message is UTF-8 (RFC 5424 6.4)."""

_UNPRINTABLE = re.compile(r"[^!-~]")


def header_of(outcome: EventOutcome, time: datetime, hostname: str, process_id: int) -> str:
    """Return PRI, VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID and MSGID (RFC 5424 6.2)."""
    severity = NOTICE if outcome is EventOutcome.SUCCESS else WARNING
    host = _UNPRINTABLE.sub("", hostname)[:255] or "-"
    return (
        f"<{8 * FACILITY + severity}>1 {time.isoformat(timespec='microseconds')} {host} {APP_NAME} "
        f"{process_id} {MESSAGE_ID}"
    )


def syslog_message(header: str, number: int, content: bytes) -> bytes:
    """Return a whole message.

    Parameters
    ----------
    header
        As of `header_of`.
    number
        Of the message in its buffer, from 1 on. It stands in STRUCTURED-DATA as `sequenceId`: a
        message that comes twice has the same, one that is lost leaves a gap.
    content
        UTF-8.
    """
    sequence_id = (number - 1) % MAX_SEQUENCE_ID + 1
    start = f'{header} [meta sequenceId="{sequence_id}"] '
    return start.encode("ascii") + _BYTE_ORDER_MARK + content


def frame(message: bytes) -> bytes:
    """Return a message with its length before it: octet counting (RFC 5425 4.3, RFC 6587 3.4.1)."""
    return b"%d %b" % (len(message), message)
