"""The DIMSE door: C-STORE (PS3.4 annex B) into the same inbox as STOW-RS, and C-ECHO.

Archives also bring here what they commit themselves to (PS3.4 annex J, N-EVENT-REPORT).
"""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from service.audit.event import Participant
from service.audit.instances import InstanceIdentity
from service.audit.participants import application_entity as entity_of
from service.audit.trail import NO_TRAIL, AuditTrail
from service.destinations.commitment import PUSH_MODEL, report_of
from service.dicomweb.store_response import OUT_OF_RESOURCES
from service.dimse.store_status import PROCESSING_FAILURE, SUCCESS
from service.errors import Overloaded
from service.imaging.transfer_syntaxes import ENCAPSULATED, NATIVE
from service.inbox.acceptor import REQUEST_S, Acceptor, Slots
from service.inbox.audited import received_events
from service.inbox.inbox import Inbox
from service.inbox.store_transaction import Received, StoreTransaction
from service.logs import where
from service.settings import Settings
from service.system.listening import cannot_listen
from service.tls_files import DICOM_CIPHERS, TlsContext, TlsFiles, server_context

log = structlog.get_logger("mammoseg")

VERIFICATION = UID("1.2.840.10008.1.1")

MAX_UNSTORED_BYTES = 2**16
"""Of a message that is held in memory: command sets, and data sets that are not to be stored."""

SYNTAXES = sorted(map(UID, NATIVE | ENCAPSULATED), key=lambda uid: (uid.is_compressed, uid))
"""What the service reads. An instance is taken as it is: nothing is transcoded on the way."""


class StoreScp:
    """Listens while in its context; one of them in a process.

    Parameters
    ----------
    inbox
        Where instances go.
    settings
        Address, AE title, who may call, TLS files, and bounds.
    audit
        Is told what came, and who was not let in.

    Raises
    ------
    StartupError
        The TLS files cannot be read.
    """

    def __init__(self, inbox: Inbox, settings: Settings, audit: AuditTrail = NO_TRAIL) -> None:
        self._inbox, self._settings = inbox, settings
        self._audit = audit
        self._us = replace(audit.process, alternative_user_id=f"AETITLES={settings.scp_ae_title}")
        self._most_bytes = settings.max_body_mib << 20
        self._arrived: dict[Association, int] = {}
        self._entity = application_entity(settings)
        self._tls: TlsContext | None = None
        if settings.scp_tls_certificate is not None:
            files = TlsFiles(
                settings.scp_tls_certificate, settings.scp_tls_key, settings.scp_tls_client_ca
            )
            self._tls = TlsContext(
                "mammoseg scp",
                files.paths,
                lambda: server_context("the TLS files of mammoseg scp", files, DICOM_CIPHERS),
            )

    def __enter__(self) -> Self:
        """Start to listen.

        Raises
        ------
        StartupError
            The address is taken or is not this machine's.
        """
        settings = self._settings
        handlers: list[tuple[evt.EventType, Callable[[Event], object]]] = [
            (evt.EVT_PDU_RECV, self._received),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_ABORTED, self._aborted),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_N_EVENT_REPORT, self._reported),
        ]
        try:
            server = self._entity.make_server(
                (settings.host, settings.scp_port),
                evt_handlers=handlers,  # type: ignore[arg-type]
                server_class=Acceptor,
            )
        except OSError as error:
            raise cannot_listen(settings.host, settings.scp_port, error) from None
        # Datasets go to the disk as they arrive, to the one that is watched and swept.
        self._before = _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(self._inbox.files.incoming)
        assert isinstance(server, Acceptor)
        server.slots = Slots(settings.scp_associations)
        server.callers = settings.scp_callers
        server.pdu_bytes = settings.scp_pdu_bytes + 6
        server.pdu_s = settings.upload_timeout_s
        server.tls = self._tls
        server.audit = self._audit
        self._entity._servers.append(server)
        threading.Thread(target=server.serve_forever, name="scp", daemon=True).start()
        self.port = int(server.server_address[1])
        log.info("scp-ready", port=self.port, tls=self._tls is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self._entity.shutdown()
        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = self._before
        log.info("scp-stopped")

    def _received(self, event: Event) -> None:
        """Bound a dataset while it arrives, and far more tightly whatever is held in memory."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        if _bytes_in_memory(event.assoc) > MAX_UNSTORED_BYTES:
            log.warning("scp-too-large", code="message")
            event.assoc.abort()
            return
        before = self._arrived.get(event.assoc, 0)
        arrived = self._arrived[event.assoc] = before + event.pdu.pdu_length
        # Pieces that were under way still arrive after the abort: abort once.
        if before <= self._most_bytes < arrived:
            log.warning("scp-too-large", code="instance")
            event.assoc.abort()

    def _aborted(self, event: Event) -> None:
        """Say that an association ended before it was released, by whomever."""
        log.warning("scp-aborted", peer=_peer(event))

    def _closed(self, event: Event) -> None:
        """Delete what a broken association left half-written; it is nowhere else to be found."""
        self._arrived.pop(event.assoc, None)
        file = getattr(event.assoc.dimse.message, "_data_set_file", None)
        if file is not None:
            # On a full disk what is still in its buffer cannot be written.
            with contextlib.suppress(OSError):
                file.close()
            Path(file.name).unlink(missing_ok=True)

    def _store(self, event: Event) -> int:
        self._arrived[event.assoc] = 0
        transaction: StoreTransaction | None = None
        try:
            with self._inbox.store_transaction() as transaction:
                transaction.adopt(event.dataset_path)
                (outcome,) = transaction.commit()
            # Before the answer: killed in between, the sender sends again.
            self._tell(event, transaction.received)
        except Overloaded as error:
            self._tell(event, _refused(event, transaction, OUT_OF_RESOURCES))
            log.warning("scp-refused", code=error.code)
            return OUT_OF_RESOURCES
        except Exception as error:
            log.error("scp-fault", error=type(error).__name__, at=where(error))
            self._tell(event, _refused(event, transaction, PROCESSING_FAILURE))
            return PROCESSING_FAILURE
        status = outcome.failure or outcome.warning or SUCCESS
        log.info("scp-stored", status=f"{status:04x}")
        return status

    def _tell(self, event: Event, received: Sequence[Received]) -> None:
        if self._audit.is_on:
            self._audit.record(received_events(_sender(event), self._us, received))

    def _reported(self, event: Event) -> tuple[int, None]:
        """Take what a destination has committed itself to; on the disk before the answer."""
        try:
            report = report_of(event.event_information)
            known = self._inbox.commitments.report(report) if report is not None else 0
        except Exception as error:
            log.error("scp-fault", error=type(error).__name__, at=where(error))
            return PROCESSING_FAILURE, None
        (log.info if known else log.warning)(
            "scp-commitment" if known else "commitment-unknown", peer=_peer(event), results=known
        )
        return SUCCESS, None


def application_entity(settings: Settings) -> AE:
    """Return who listens: what is accepted, and in which syntaxes."""
    entity = AE(settings.scp_ae_title)
    entity.maximum_pdu_size = settings.scp_pdu_bytes
    # The acceptor counts: pynetdicom counts connections that have not asked, and that are gone.
    entity.maximum_associations = 2**31
    entity.network_timeout = entity.dimse_timeout = settings.upload_timeout_s
    entity.acse_timeout = REQUEST_S
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(cast(UID, context.abstract_syntax), SYNTAXES)
    entity.add_supported_context(VERIFICATION)
    # Whoever reports is SCP of this service, and says so, or does not (PS3.7 D.3.3.4).
    entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    return entity


def _sender(event: Event) -> Participant:
    peer = event.assoc.requestor
    return replace(entity_of(peer.ae_title, peer.address), is_requestor=True)


def _refused(event: Event, transaction: StoreTransaction | None, failure: int) -> list[Received]:
    """Return whose instance was refused; by what the request says of it, if nobody looked at it."""
    looked_at = [] if transaction is None else transaction.refused(failure)
    if any(each.identity.sop_instance_uid for each in looked_at):
        return looked_at
    return [Received(_named(event), False, failure)]


def _named(event: Event) -> InstanceIdentity:
    """Return what a request says of an instance that was not looked at."""
    request = cast(C_STORE, event.request)
    klass, uid = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
    return InstanceIdentity(str(klass or "") or None, str(uid or "") or None)


def _peer(event: Event) -> str:
    return str(event.assoc.requestor.address)


def _bytes_in_memory(association: Association) -> int:
    """Return how much came of a message that pynetdicom keeps in memory."""
    message = association.dimse.message
    if message is None:
        return 0
    held = message.encoded_command_set.tell()
    if message.data_set is not None:
        held += message.data_set.tell()
    return held
