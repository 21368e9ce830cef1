"""Archives that take results by C-STORE (PS3.4 annex B), and may commit themselves to them."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import parse_qsl, unquote

import structlog
from pydantic import Field, model_validator
from pynetdicom import _config, build_context, evt

from service.destinations.association import Peer, RequestedAssociation
from service.destinations.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    report_of,
    request_of,
)
from service.destinations.contexts import proposed_contexts
from service.destinations.destination import ClientOptions, Destination, InstanceReference
from service.destinations.line import MAX_MESSAGE_S
from service.destinations.transcode import PLAIN, chosen, plain, read_file_meta
from service.dimse.ae_title import AE_TITLE, is_ae_title
from service.dimse.store_status import PROCESSING_FAILURE, SUCCESS, NotDelivered, warning_of
from service.logs import where
from service.tls_files import TlsContext, client_context

log = structlog.get_logger("mammoseg")

T = TypeVar("T")

VERIFICATION = "1.2.840.10008.1.1"
PORTS = {"dicom": 104, "dicoms": 2762}
"""Where the URL names none: the well-known ports (PS3.8 9.1.1, PS3.15 B.12)."""

IDLE_S = 5.0
"""An association is kept so long for the next object, or for the report of a commitment."""

MAX_OPERATION_S = 2 * MAX_MESSAGE_S
"""For an association and one object on it, should a bound within not hold."""

END_S = 15.0
"""For an association to end when the service does; what is left then ends with the process."""

FOR_NOW = frozenset((1, 2))
"""Results of a presentation context (PS3.8 table 9-18) that do not speak of the object: rejected by
the user, or without a reason."""


class DicomDestination(Destination):
    """An archive that takes results by C-STORE.

    Attributes
    ----------
    url
        `dicom://AE@host:port`, or `dicoms://` for TLS by the profile of PS3.15 B.12. What else is
        set may be written after it: `?commitment=true&calling_ae=...`.
    calling_ae
        AE title by which we call; that of `mammoseg scp` by default.
    commitment
        Ask it to commit itself to what it has (PS3.4 annex J): only then is that delivered.
    commitment_timeout_s
        How long to wait for the answer before asking again, in seconds.
    """

    schemes: ClassVar[tuple[str, ...]] = ("dicom", "dicoms")
    secure_schemes: ClassVar[tuple[str, ...]] = ("dicoms",)

    url: str = Field(pattern=r"^dicoms?://[^\s/?#@]+@[^\s/?#@]+/?$")
    calling_ae: str | None = Field(default=None, pattern=AE_TITLE)
    commitment: bool = False
    commitment_timeout_s: float = Field(default=3600.0, gt=0, le=7 * 86_400)

    @model_validator(mode="before")
    @classmethod
    def _query_apart(cls, given: object) -> object:
        if isinstance(given, str):
            given = {"url": given}
        if not isinstance(given, dict) or "?" not in str(given.get("url", "")):
            return given
        url, _, query = str(given["url"]).partition("?")
        return dict(parse_qsl(query, keep_blank_values=True)) | given | {"url": url}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not is_ae_title(self.ae_title):
            raise ValueError("before the @ of the url stands the AE title, of 1 to 16 characters")
        try:
            port = self.address.port
        except ValueError:
            raise ValueError("the port of the url is no port") from None
        if not self.address.hostname or port == 0:
            raise ValueError("after the @ of the url stand a host and a port")
        return self

    @property
    def ae_title(self) -> str:
        """As of `Destination`."""
        return unquote(self.address.username or "")

    @property
    def commitment_s(self) -> float | None:
        """As of `Destination`."""
        return self.commitment_timeout_s if self.commitment else None

    def client(self, options: ClientOptions) -> "StoreClient":
        """Return a client of it; see `Destination.client`."""
        return StoreClient(self, options)


class StoreClient:
    """Sends results to one archive, those of a burst on one association; see `CommittingClient`.

    Parameters
    ----------
    destination
        Which.
    options
        As of `ClientOptions`.
    """

    def __init__(self, destination: DicomDestination, options: ClientOptions) -> None:
        # Files go out as they are, from the disk, not by way of a dataset.
        _config.STORE_SEND_CHUNKED_DATASET = True
        self.destination = destination
        self._report = options.report
        self._syntaxes = dict(options.syntaxes)
        address, tls = destination.address, None
        if address.scheme == "dicoms":
            tls = TlsContext(
                f"destination {destination.name}",
                destination.tls_files.paths,
                lambda: client_context(
                    destination.tls_files,
                    verify=destination.verify,
                    verify_host=destination.verify_host,
                    dicom=True,
                ),
            )
        self._peer = Peer(
            address.hostname or "",
            address.port or PORTS[address.scheme],
            unquote(address.username or ""),
            destination.calling_ae or options.ae_title,
            destination.timeout_s,
            tls,
        )
        self._association: RequestedAssociation | None = None
        self._used = 0.0
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._let_go(), END_S)

    async def store(self, file: Path, more: Mapping[str, str] | None = None) -> int | None:
        """Send a file; see `Client.store`."""
        return await self._apart(lambda: warning_of(self._store(file)))

    async def request_commitment(
        self, transaction_uid: str, instances: Sequence[InstanceReference]
    ) -> None:
        """Ask for a commitment; see `CommittingClient.request_commitment`."""
        request = request_of(transaction_uid, instances)
        status = await self._apart(lambda: self._ask(request))
        if status != SUCCESS:
            raise NotDelivered(f"commitment-refused-{status:04x}")

    def ask_whether_there(self) -> None:
        """Associate, and send nothing.

        Raises
        ------
        NotDelivered
            There is no association, and why.
        """
        association = RequestedAssociation(self._peer)
        association.request([build_context(VERIFICATION)], self._reported)
        association.release()

    async def rest(self) -> None:
        """Release the association once it is idle."""
        if self._association is not None and time.monotonic() - self._used >= IDLE_S:
            await self._let_go()

    def _store(self, file: Path) -> int:
        meta = read_file_meta(file)
        association = self._associated(meta.sop_class_uid, meta.transfer_syntax_uid)
        accepted = association.accepted(meta.sop_class_uid)
        syntax = chosen(meta.transfer_syntax_uid, accepted)
        if syntax is None:
            passing = association.rejection(meta.sop_class_uid) & FOR_NOW
            raise NotDelivered("context-rejected", permanent=not passing)
        if syntax == meta.transfer_syntax_uid:
            return association.send_store(file)
        return association.send_store(plain(file, meta.transfer_syntax_uid))

    def _ask(self, request: Any) -> int:
        association = self._associated(PUSH_MODEL, PLAIN[0])
        if not association.accepted(PUSH_MODEL):
            raise NotDelivered("commitment-not-supported")
        return association.send_action(request, PUSH_MODEL, PUSH_MODEL_INSTANCE)

    def _associated(self, sop_class_uid: str, syntax: str) -> RequestedAssociation:
        """Return an association on which objects of a class were proposed, perhaps an open one."""
        known = self._syntaxes.get(sop_class_uid, frozenset())
        is_new = sop_class_uid != PUSH_MODEL and syntax not in known
        if is_new:
            self._syntaxes[sop_class_uid] = known | {syntax}
        association = self._association
        if association is not None and association.is_open and not is_new:
            return association
        if association is not None:
            association.release()
        if self._is_closed:
            raise NotDelivered("cancelled", reachable=False)
        self._association = association = RequestedAssociation(self._peer)
        contexts = proposed_contexts(self._syntaxes, commitment=self.destination.commitment)
        association.request(contexts, self._reported)
        return association

    def _reported(self, event: evt.Event) -> tuple[int, None]:
        """Take a report that comes while the association is open."""
        try:
            report = report_of(event.event_information)
            if report is not None:
                self._report(report)
        except Exception as error:
            # It is not on the disk: the archive may report again, or is asked again.
            log.error("commitment-fault", error=type(error).__name__, at=where(error))
            return PROCESSING_FAILURE, None
        return SUCCESS, None

    async def _let_go(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            await _on_a_thread(association.release, association.hang_up)

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do what waits for the archive on a thread; cancelled, hang up."""
        try:
            async with asyncio.timeout(MAX_OPERATION_S):
                return await _on_a_thread(work, self._hang_up)
        except TimeoutError:
            self._association = None
            raise NotDelivered("timeout", reachable=False) from None
        except asyncio.CancelledError:
            self._is_closed = True
            raise
        finally:
            self._used = time.monotonic()

    def _hang_up(self) -> None:
        if self._association is not None:
            self._association.hang_up()


async def _on_a_thread(work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Run on a thread that keeps no process from ending, as those of an executor do."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        # The loop is gone where the service ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="store", daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        cancel()
        raise
