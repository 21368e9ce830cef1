"""What is said in a storage commitment, push model (PS3.4 annex J): the request and its report."""

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import UID, generate_uid

from service.destinations.destination import CommitmentReport, InstanceReference
from service.imaging import elements

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Storage Commitment Push Model SOP Class, and its one well-known instance."""

NO_REASON = 0x0110
"""Taken for a Failure Reason that is not given: a failure in processing."""

NOT_COMMITTED_FOR_GOOD = frozenset((0x0119, 0x0122))
"""Failure Reasons (PS3.3 C.14.1.1) that a resend does not change: class and instance conflict,
referenced SOP class not supported."""

_INSTANCE = "ReferencedSOPInstanceUID"


def new_transaction_uid() -> str:
    """Return a Transaction UID that nobody can guess: a report is believed by it."""
    return str(generate_uid(prefix=None))


def request_of(transaction_uid: str, instances: Sequence[InstanceReference]) -> Dataset:
    """Return the Action Information of a request (PS3.4 table J.3-1)."""
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [_item(instance) for instance in instances]
    return request


def report_of(information: Dataset) -> CommitmentReport | None:
    """Read the Event Information of a report (PS3.4 table J.3-2); None without a Transaction UID.

    An instance that is named as failed is failed, whatever else is said of it.
    """
    transaction = elements.uid(information, "TransactionUID")
    if transaction is None:
        return None
    failed: dict[str, int] = {}
    for item in elements.items(information, "FailedSOPSequence"):
        if (uid := elements.uid(item, _INSTANCE)) is not None:
            failed[uid] = elements.integer(item, "FailureReason") or NO_REASON
    named = {
        elements.uid(item, _INSTANCE)
        for item in elements.items(information, "ReferencedSOPSequence")
    }
    committed = frozenset(uid for uid in named - failed.keys() if uid is not None)
    return CommitmentReport(transaction, committed, failed)


def _item(instance: InstanceReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    return item
