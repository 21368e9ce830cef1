"""An association that we request (PS3.8): every wait is bounded, and any thread may end it.

pynetdicom speaks on it. It would wait for ever for a peer that takes no bytes, and tell only its
log why there is no connection; so the connection is made here, and read and written in bounds.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from service.destinations.line import (
    MAX_PDU_BYTES,
    BoundedSocket,
    OwnAssociation,
    PatientProvider,
    shut,
)
from service.dimse.associate_pdus import is_too_short
from service.dimse.store_status import NotDelivered
from service.tls_files import TlsContext, code_of

RELEASE_S = 5.0
"""For the answer to A-RELEASE-RQ; then the association is aborted."""

END_S = 1.0
"""For each of pynetdicom's threads to end once the line is closed; they need a few milliseconds."""

REJECTIONS = {
    (1, 3): "calling-ae-unknown",
    (1, 7): "called-ae-unknown",
    (3, 1): "association-busy",
    (3, 2): "association-busy",
}
"""Why, by source and reason (PS3.8 table 9-21)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is called, and how.

    Attributes
    ----------
    host, port
        Where it listens.
    called_ae, calling_ae
        AE titles, its and ours.
    timeout_s
        Longest wait for it to connect, to take a piece, and to answer, each, in seconds.
    tls
        None speaks without TLS.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout_s: float
    tls: TlsContext | None = None


class RequestedAssociation:
    """One association, from its request to its end; used by one thread, ended by any.

    Parameters
    ----------
    peer
        Who is called.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._addresses: tuple[Any, Any] = ((), ())
        self._ended = False
        self._socket: BoundedSocket | None = None
        self._association: Association | None = None

    @property
    def is_open(self) -> bool:
        """Whether objects can be sent."""
        return self._association is not None and bool(self._association.is_established)

    def request(
        self, contexts: Sequence[PresentationContext], report: Callable[[evt.Event], Any]
    ) -> None:
        """Ask the peer for it.

        Parameters
        ----------
        contexts
            What is proposed.
        report
            Handles N-EVENT-REPORT (`pynetdicom.evt.EVT_N_EVENT_REPORT`).

        Raises
        ------
        NotDelivered
            There is none, and why.
        """
        line = self._connected()
        entity = AE(self._peer.calling_ae)
        entity.acse_timeout = self._peer.timeout_s
        entity.network_timeout = None
        entity.dimse_timeout = self._peer.timeout_s
        association = OwnAssociation(entity, "requestor")
        association.dul.daemon = True
        self._socket = BoundedSocket(association, line, self._peer.timeout_s)
        association.dimse = PatientProvider(association, self._socket)
        association.set_socket(self._socket)
        self._introduce(association, contexts)
        association.bind(evt.EVT_N_EVENT_REPORT, report)
        self._association = association
        started = time.monotonic()
        association.request()
        if not association.is_established:
            raise self._refusal(association, time.monotonic() - started)
        association.start()
        association.acse_timeout = min(RELEASE_S, self._peer.timeout_s)
        if is_too_short(association.acceptor.maximum_length or 0):
            # pynetdicom would divide by what is left for data.
            raise self._ended_with("association-length")

    def accepted(self, sop_class_uid: str) -> frozenset[str]:
        """Return the transfer syntaxes in which the peer takes objects of a class."""
        assert self._association is not None
        return frozenset(
            str(context.transfer_syntax[0])
            for context in self._association.accepted_contexts
            if context.abstract_syntax == sop_class_uid
        )

    def rejection(self, sop_class_uid: str) -> frozenset[int]:
        """Return why the peer takes none of a class, the results of PS3.8 table 9-18."""
        assert self._association is not None
        return frozenset(
            int(context.result or 0)
            for context in self._association.rejected_contexts
            if context.abstract_syntax == sop_class_uid
        )

    def send_store(self, instance: Path | Dataset) -> int:
        """Send a file as it is, or a dataset in whatever accepted syntax; return the status.

        Raises
        ------
        NotDelivered
            There was no answer.
        OSError
            The file cannot be read.
        """
        assert self._association is not None
        try:
            return self._status(self._association.send_c_store(instance))
        except (RuntimeError, ValueError):
            # It ended since it was looked at.
            raise self._lost("association-aborted", reachable=True) from None

    def send_action(self, information: Dataset, sop_class_uid: str, instance_uid: str) -> int:
        """Send an N-ACTION of type 1; return the status.

        Raises
        ------
        NotDelivered
            There was no answer.
        """
        assert self._association is not None
        try:
            answer, _ = self._association.send_n_action(
                information, 1, UID(sop_class_uid), UID(instance_uid)
            )
        except (RuntimeError, ValueError):
            raise self._lost("association-aborted", reachable=True) from None
        return self._status(answer)

    def release(self) -> None:
        """End it in good order, or else within `RELEASE_S`."""
        with self._lock:
            is_hung_up = self._ended
        # Whoever reads the line may not know yet, and a release would wait for its whole time.
        if self.is_open and not is_hung_up:
            assert self._association is not None
            self._association.release()
        self.close()

    def close(self) -> None:
        """Close the line, and wait for a moment until nobody reads it any more."""
        self.hang_up()
        if self._association is not None:
            threads: tuple[threading.Thread, ...] = (self._association.dul, self._association)
            for thread in threads:
                with contextlib.suppress(RuntimeError):
                    thread.join(END_S)
        if self._line is not None:
            self._line.close()

    def hang_up(self) -> None:
        """Hang up, also while another thread waits for the peer, whose wait then ends."""
        with self._lock:
            self._ended = True
            line = self._line
        shut(line)

    def _introduce(self, association: Association, contexts: Sequence[PresentationContext]) -> None:
        """Tell an association who we and the peer are, and what is proposed."""
        theirs, ours = self._addresses
        association.acceptor.ae_title = self._peer.called_ae
        association.acceptor.address_info = AddressInformation.from_tuple(theirs)
        requestor, entity = association.requestor, association.ae
        requestor.address_info = AddressInformation.from_tuple(ours)
        requestor.ae_title = self._peer.calling_ae
        requestor.maximum_length = MAX_PDU_BYTES
        requestor.implementation_class_uid = entity.implementation_class_uid
        requestor.implementation_version_name = entity.implementation_version_name
        for number, context in enumerate(contexts):
            context.context_id = 2 * number + 1
        requestor.requested_contexts = list(contexts)

    def _connected(self) -> socket.socket:
        """Connect, and agree on TLS; bounded by the peer's timeout but for the name's look-up."""
        peer = self._peer
        try:
            line = socket.create_connection((peer.host, peer.port), peer.timeout_s)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._hold(line)
            # Now: a peer that refuses our certificate is gone before the handshake is over for us.
            self._addresses = line.getpeername(), line.getsockname()
            if peer.tls is not None:
                line = peer.tls.current().wrap_socket(
                    line, server_hostname=peer.host, do_handshake_on_connect=False
                )
                self._hold(line)
                line.do_handshake()
        except TimeoutError:
            raise self._ended_with("timeout") from None
        except ssl.SSLError as error:
            raise self._ended_with(code_of(error)) from None
        except (OSError, ValueError):
            raise self._ended_with("unreachable") from None
        return line

    def _hold(self, line: socket.socket) -> None:
        with self._lock:
            self._line = line
            ended = self._ended
        if ended:
            shut(line)

    def _ended_with(self, code: str) -> NotDelivered:
        return self._lost(code, reachable=False)

    def _refusal(self, association: Association, waited_s: float) -> NotDelivered:
        """Return why there is no association."""
        assert self._socket is not None
        # pynetdicom does not look at a rejection after which the line was closed at once.
        answer = association.acceptor.primitive or association.dul.peek_next_pdu()
        if isinstance(answer, A_ASSOCIATE) and answer.result:
            reason = (answer.result_source or 0, answer.diagnostic or 0)
            return self._lost(REJECTIONS.get(reason, "association-rejected"), reachable=False)
        if association.acceptor.primitive is not None and not association.accepted_contexts:
            return self._lost("contexts-rejected", reachable=True)
        late = "timeout" if waited_s >= self._peer.timeout_s else "association-aborted"
        return self._lost(self._socket.fault or late, reachable=False)

    def _status(self, answer: Dataset) -> int:
        assert self._socket is not None
        if "Status" not in answer:
            fault = self._socket.fault
            raise self._lost(fault or "association-aborted", reachable=fault is None)
        return int(answer.Status)

    def _lost(self, code: str, *, reachable: bool) -> NotDelivered:
        self.close()
        return NotDelivered(code, reachable=reachable)
