"""The columns of an entry and of a delivery, as every query of the inbox asks for them."""

from collections.abc import Iterable
from typing import Any

from service.inbox.database import Row
from service.inbox.states import Delivery, Entry, StoredResult

ENTRY = """entry.id, entry.sop_instance_uid, entry.sop_class_uid, entry.study_instance_uid,
    entry.digest, entry.state, entry.code, entry.size, entry.attempts, entry.due, entry.received,
    entry.changed"""
DELIVERY = """delivery.id, result.entry, delivery.destination, delivery.state, delivery.code,
    delivery.attempts, delivery.due, result.kind, result.sop_instance_uid, result.digest,
    result.size"""


def entry_of(row: Row) -> Entry:
    """Make an entry of the columns `ENTRY`."""
    return Entry(*row)


def delivery_of(row: Iterable[Any]) -> Delivery:
    """Make a delivery of the columns `DELIVERY`."""
    id, entry, destination, state, code, attempts, due, *result = row
    return Delivery(id, entry, destination, state, code, attempts, due, StoredResult(*result))
