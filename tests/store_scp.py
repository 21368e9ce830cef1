"""A DICOM archive that keeps what it gets, byte for byte, and answers as a test wants."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import build_context

from service.destinations.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from service.outputs.dicom.registry import OUTPUTS

SYNTAXES = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
)
HANG_UP = -1
"""As a status: the object is kept, and the connection closed in place of an answer."""


@dataclass
class StoreScp:
    """What came, and how it is answered.

    Attributes
    ----------
    port
        Of the loopback.
    received
        Every data set by SOP Instance UID, in the order they came, as it was encoded.
    syntaxes
        Transfer syntax of each, in the order they came.
    associations
        AE titles, called and calling, of each association.
    proposed
        Abstract and transfer syntaxes proposed on each.
    status
        Given a SOP Instance UID and how often it came, says what to answer.
    asked
        Transaction UIDs, and the SOP Instance UIDs that each names.
    report
        Given a transaction UID and the SOP Instance UIDs, says what failed, by UID; None sends no
        report at all. By default what was not received has failed.
    """

    port: int = 0
    received: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    syntaxes: list[str] = field(default_factory=list)
    associations: list[tuple[str, str]] = field(default_factory=list)
    proposed: list[list[tuple[str, str]]] = field(default_factory=list)
    status: Callable[[str, int], int] = lambda uid, times: 0
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    report: Callable[[str, list[str]], dict[str, int] | None] | None = None
    action_status: int = 0

    def url(self, **query: object) -> str:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"dicom://ARCHIVE@127.0.0.1:{self.port}" + (f"?{text}" if text else "")

    def failures(self, transaction: str, uids: list[str]) -> dict[str, int] | None:
        if self.report is not None:
            return self.report(transaction, uids)
        return {uid: 0x0112 for uid in uids if uid not in self.received}


@contextmanager
def store_scp(
    port: int = 0,
    *,
    classes: set[str] | None = None,
    syntaxes: tuple[str, ...] = SYNTAXES,
    tls: Any = None,
    called_ae: str = "",
) -> Iterator[StoreScp]:
    """Run one on the loopback; reports go out on the association that they were asked on."""
    state = StoreScp()
    entity = AE("ARCHIVE")
    entity.require_called_aet = bool(called_ae)
    kept = {output.sop_class_uid for output in OUTPUTS.values()} if classes is None else classes
    for sop_class in kept:
        entity.add_supported_context(sop_class, list(syntaxes))
    if classes is None:
        entity.add_supported_context(PUSH_MODEL)

    def opened(event: evt.Event) -> None:
        requestor = event.assoc.requestor
        asked = requestor.primitive
        state.associations.append((asked.called_ae_title, asked.calling_ae_title))
        state.proposed.append(
            [
                (str(context.abstract_syntax), str(syntax))
                for context in requestor.requested_contexts
                for syntax in context.transfer_syntax
            ]
        )

    def store(event: evt.Event) -> int:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        state.received[uid].append(_encoded(event))
        state.syntaxes.append(str(event.context.transfer_syntax))
        status = state.status(uid, len(state.received[uid]))
        if status == HANG_UP:
            event.assoc.dul.socket.socket.close()
            return 0
        return status

    def asked(event: evt.Event) -> tuple[int, None]:
        information = event.action_information
        uids = [str(item.ReferencedSOPInstanceUID) for item in information.ReferencedSOPSequence]
        transaction = str(information.TransactionUID)
        state.asked.append((transaction, uids))
        failed = state.failures(transaction, uids)
        if state.action_status == 0 and failed is not None:
            send = threading.Thread(
                target=_report,
                args=(event.assoc, report_dataset(transaction, uids, failed), failed),
            )
            send.start()
        return state.action_status, None

    handlers: list[Any] = [
        (evt.EVT_REQUESTED, opened),
        (evt.EVT_C_STORE, store),
        (evt.EVT_N_ACTION, asked),
    ]
    server = entity.start_server(
        ("127.0.0.1", port),
        block=False,
        evt_handlers=handlers,
        ssl_context=tls,
        ae_title=called_ae or "ARCHIVE",
    )
    assert server is not None
    state.port = int(server.server_address[1])
    try:
        yield state
    finally:
        entity.shutdown()


def _encoded(event: evt.Event) -> bytes:
    """Return the data set as it came; `mammoseg scp` in this process has it written to a file."""
    request: Any = event.request
    if request.DataSet is not None:
        return bytes(request.DataSet.getvalue())
    _, offset = split_dataset(event.dataset_path)
    return event.dataset_path.read_bytes()[offset:]


def report_dataset(transaction: str, uids: list[str], failed: dict[str, int]) -> Dataset:
    """Return the Event Information of a report."""
    report = Dataset()
    report.TransactionUID = transaction
    good = [_item(uid) for uid in uids if uid not in failed]
    if good:
        report.ReferencedSOPSequence = good
    if failed:
        report.FailedSOPSequence = [_item(uid, reason) for uid, reason in failed.items()]
    return report


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _report(association: Any, report: Dataset, failed: dict[str, int]) -> None:
    # After the answer to N-ACTION, which the handler gives.
    time.sleep(0.05)
    if association.is_established:
        association.send_n_event_report(report, 2 if failed else 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)


def send_report(port: int, report: Dataset, *, event_type: int = 1, tls: Any = None) -> int | None:
    """Send a report on an association of its own, as most archives do; return the status."""
    from pynetdicom import build_role

    entity = AE("ARCHIVE")
    context = build_context(PUSH_MODEL)
    association = entity.associate(
        "127.0.0.1",
        port,
        [context],
        ae_title="MAMMOSEG",
        ext_neg=[build_role(PUSH_MODEL, scp_role=True)],
        tls_args=(tls, "localhost") if tls is not None else None,
    )
    if not association.is_established:
        return None
    status, _ = association.send_n_event_report(report, event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    association.release()
    return status.get("Status")
