"""The audit trail of one process: takes events, keeps them, and has them sent."""

import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Self

import structlog

from service.audit.buffer import AuditBuffer
from service.audit.collector import connect
from service.audit.event import AuditEvent, Participant
from service.audit.events import application_activity, recording_started, recording_stopped
from service.audit.message import AuditSource, to_xml
from service.audit.options import AuditOptions
from service.audit.sender import Sender
from service.audit.syslog import header_of
from service.logs import where
from service.tls_files import TlsContext, client_context

log = structlog.get_logger("mammoseg")


class AuditTrail:
    """Takes events; for several threads. In its context the application is running.

    What it takes is in the buffer when `record` returns, and outlives the process. The collector is
    waited for by nobody but a thread of its own.

    Parameters
    ----------
    application
        What this process is called in messages: "mammoseg scp".
    options
        Where the trail goes; None for nowhere: then nothing is done.

    Raises
    ------
    StartupError
        The buffer cannot be opened, or the TLS files cannot be read.
    """

    def __init__(self, application: str, options: AuditOptions | None) -> None:
        self._hostname = socket.gethostname()
        self.process = Participant(
            str(os.getpid()), address=self._hostname or None, user_name=application
        )
        self.is_on, self._has_begun = options is not None, False
        if options is None:
            return
        tls = collector_tls(options)
        self._source = AuditSource(options.source_id or self._hostname, options.site_id)
        self._buffer = AuditBuffer(options.folder, options.max_bytes)
        self._sender = Sender(self._buffer, partial(connect, options.collector, tls))

    def start(self) -> None:
        """Say that the application started, and begin to send."""
        if self.is_on:
            self._sender.start()
            self._has_begun = True
            self.record([application_activity(self.process, is_start=True)])

    def close(self) -> None:
        """Say that the application stops; send what can be sent soon, and leave the rest.

        One that never started says nothing, and lets go of its buffer.
        """
        if not self.is_on:
            return
        if not self._has_begun:
            self.is_on = False
            self._buffer.close()
            return
        self.record([application_activity(self.process, is_start=False)])
        self.is_on = False
        if self._sender.close():
            self._buffer.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, events: Iterable[AuditEvent]) -> None:
        """Keep events, in the order in which they happened; never raises.

        It takes the disk for as long as a small file that is written and not waited for: callers on
        an event loop use a thread.
        """
        if not self.is_on:
            return
        for event in events:
            try:
                self._keep(event)
            except Exception as error:
                # Not its text, which may quote the message.
                log.error("audit-lost", error=type(error).__name__, at=where(error))
        self._sender.wake()

    def _keep(self, event: AuditEvent) -> None:
        of_stranger = event.is_of_stranger
        added = self._buffer.add(*self._written(event), of_stranger=of_stranger)
        if not added.is_kept and added.lost == 1:
            log.error("audit-full", refusals=of_stranger)
            self._keep_of_bound(recording_stopped(self.process), of_stranger, is_over=False)
        if added.is_kept and added.lost:
            log.error("audit-lost", messages=added.lost, refusals=of_stranger)
            self._keep_of_bound(
                recording_started(self.process, added.lost), of_stranger, is_over=True
            )

    def _keep_of_bound(self, event: AuditEvent, of_stranger: bool, *, is_over: bool) -> None:
        self._buffer.add_of_bound(*self._written(event), of_stranger=of_stranger, is_over=is_over)

    def _written(self, event: AuditEvent) -> tuple[str, bytes]:
        """Return the header and the content of an event's message."""
        now = datetime.now(UTC)
        header = header_of(event.outcome, now, self._hostname, int(self.process.user_id))
        return header, to_xml(event, self._source, now)


def collector_tls(options: AuditOptions) -> TlsContext | None:
    """Return where the context of the next connection is had; None without TLS.

    Raises
    ------
    StartupError
        Its files cannot be read.
    """
    if options.collector.transport != "tls":
        return None
    files = options.tls_files
    return TlsContext("the audit collector", files.paths, lambda: client_context(files))


NO_TRAIL = AuditTrail("mammoseg", None)
"""Where nobody is told."""
