"""Several replicas in one process: their leases, and calls of theirs at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.inbox.inbox import Inbox
from service.inbox.replica_lease import ReplicaLease

PACS = "pacs"


def lease_of(inbox: Inbox) -> ReplicaLease:
    """Return a replica's lease, with what is its own."""
    assert isinstance(inbox.lease, ReplicaLease)
    return inbox.lease


def run_out(inbox: Inbox) -> None:
    """Let a replica's lease run out, as while it is paused."""
    with inbox._database.transaction() as connection:
        connection.execute("UPDATE replica SET expires = 0 WHERE id = ?", (lease_of(inbox).id,))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call all at the same time; returns what they return, or raise."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))
