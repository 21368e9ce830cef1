"""The DIMSE door: C-STORE (PS3.4 annex B) and C-ECHO into the same inbox as STOW-RS."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import AssociationSocket

from service.errors import Overloaded, StartupError
from service.imaging.dicom import ENCAPSULATED, NATIVE
from service.inbox.inbox import Inbox
from service.inbox.reception import OUT_OF_RESOURCES
from service.logs import where
from service.settings import Settings

log = structlog.get_logger("mammoseg")

VERIFICATION = UID("1.2.840.10008.1.1")

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110

LONGEST_REQUEST = 2**20
"""Of an association request; one with all presentation contexts takes a tenth."""

SYNTAXES = sorted(map(UID, NATIVE | ENCAPSULATED), key=lambda uid: (uid.is_compressed, uid))
"""What the service reads. An instance is taken as it is: nothing is transcoded on the way."""


class StoreScp:
    """Listens while in its context; one of them in a process.

    Parameters
    ----------
    inbox
        Where instances go.
    settings
        Address, AE title, who may call, and bounds.
    """

    def __init__(self, inbox: Inbox, settings: Settings) -> None:
        self._inbox, self._settings = inbox, settings
        self._most_bytes = settings.max_body_mib << 20
        self._arrived: dict[Association, int] = {}
        self._entity = _entity(settings)

    def __enter__(self) -> Self:
        """Start to listen.

        Raises
        ------
        StartupError
            The address is taken or is not this machine's.
        """
        # Datasets go to the disk as they arrive, to the one that is watched and swept.
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(self._inbox.files.incoming)
        settings = self._settings
        handlers: list[tuple[evt.EventType, Callable[[Event], object]]] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_PDU_RECV, self._received),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
        ]
        try:
            server = self._entity.start_server(
                (settings.host, settings.scp_port),
                block=False,
                evt_handlers=handlers,  # type: ignore[arg-type]
            )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {settings.host}:{settings.scp_port}: {error.strerror}"
            ) from None
        assert server is not None
        self.port = int(server.server_address[1])
        log.info("scp-ready", port=self.port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entity.shutdown()
        log.info("scp-stopped")

    def _opened(self, event: Event) -> None:
        _bound_pdus(event.assoc, max(LONGEST_REQUEST, self._settings.scp_pdu_bytes + 6))

    def _received(self, event: Event) -> None:
        """Bound a dataset while it arrives."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        before = self._arrived.get(event.assoc, 0)
        arrived = self._arrived[event.assoc] = before + event.pdu.pdu_length
        # What was on its way still comes; once is enough.
        if before <= self._most_bytes < arrived:
            log.warning("scp-too-large")
            event.assoc.abort()

    def _closed(self, event: Event) -> None:
        """Delete what a broken association left half-written; it is nowhere else to be found."""
        self._arrived.pop(event.assoc, None)
        file = getattr(event.assoc.dimse.message, "_data_set_file", None)
        if file is not None:
            file.close()
            Path(file.name).unlink(missing_ok=True)

    def _store(self, event: Event) -> int:
        self._arrived[event.assoc] = 0
        try:
            with self._inbox.reception() as reception:
                reception.adopt(event.dataset_path)
                (outcome,) = reception.commit()
        except Overloaded as error:
            log.warning("scp-refused", code=error.code)
            return OUT_OF_RESOURCES
        except Exception as error:
            log.error("scp-fault", error=type(error).__name__, at=where(error))
            return PROCESSING_FAILURE
        status = outcome.failure or outcome.warning or SUCCESS
        log.info("scp-stored", status=f"{status:04x}")
        return status


def _entity(settings: Settings) -> AE:
    entity = AE(settings.scp_ae_title)
    entity.maximum_pdu_size = settings.scp_pdu_bytes
    entity.maximum_associations = settings.scp_associations
    entity.require_calling_aet = sorted(settings.scp_callers)
    entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = settings.upload_timeout_s
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(cast(UID, context.abstract_syntax), SYNTAXES)
    entity.add_supported_context(VERIFICATION)
    return entity


def _bound_pdus(association: Association, most: int) -> None:
    """Refuse a PDU that is longer than was agreed; pynetdicom would read it all into memory."""
    line = cast(AssociationSocket, association.dul.socket)
    receive = line.recv

    def bounded(size: int) -> bytearray:
        if size > most:
            raise OSError("the PDU is too long")
        return receive(size)

    line.recv = bounded  # type: ignore[assignment]
