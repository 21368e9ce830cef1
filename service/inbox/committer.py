"""Has one destination commit itself to what it has taken: only then is that delivered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from service.backoff import Backoff
from service.destinations.commitment import NOT_COMMITTED_FOR_GOOD, new_transaction_uid
from service.destinations.destination import (
    CommittingClient,
    InstanceReference,
    faults_counted,
)
from service.destinations.transcode import read_file_meta
from service.dimse.store_status import NotDelivered
from service.inbox.commitment_queue import COMMITTED, TIMED_OUT
from service.inbox.inbox import Inbox
from service.inbox.states import Delivery

MAX_ASKED = 50
"""Results in one request. So many that wait are asked for before the next one is sent."""

_FOR_GOOD = frozenset(f"commitment-{reason:04x}" for reason in NOT_COMMITTED_FOR_GOOD)

RESULT_MISSING = "result-missing"
RESULT_UNREADABLE = "result-unreadable"


def unreadable(inbox: Inbox, delivery: Delivery, error: OSError) -> NotDelivered:
    """Return what it means that a result cannot be read: one that is gone does not come back."""
    gone = inbox.files.is_gone(inbox.files.result(delivery.result.digest), error)
    return NotDelivered(RESULT_MISSING if gone else RESULT_UNREADABLE, permanent=gone)


def put_back_if_away(inbox: Inbox, deliveries: Sequence[Delivery], error: OSError) -> None:
    """Let go of results that were claimed where one cannot be read since the folder is away.

    Raises
    ------
    FolderFails
        It is.
    """
    if (fault := inbox.files.fault_behind(error)) is not None:
        inbox.deliveries.put_back(deliveries)
        raise fault


class Committer:
    """Asks for commitments, and sees to what was answered, or was not.

    Parameters
    ----------
    inbox
        Where the results lie, and what was asked and answered.
    name
        The destination's.
    client
        Of it.
    answer_s
        How long a report may take, in seconds.
    backoff
        Of the attempts: a request that comes to nothing counts as one of each of its results.
    delivered, failed
        Enter what became of a delivery; after a failure that is not for good it is sent again.
    """

    def __init__(
        self,
        inbox: Inbox,
        name: str,
        client: CommittingClient,
        *,
        answer_s: float,
        backoff: Backoff,
        delivered: Callable[[Delivery], Awaitable[None]],
        failed: Callable[[Delivery, NotDelivered], Awaitable[None]],
    ) -> None:
        self._inbox, self._name, self._client = inbox, name, client
        self._answer_s, self._backoff = answer_s, backoff
        self._delivered, self._failed = delivered, failed

    async def settle(self) -> None:
        """See to what was reported, and to what was not in time."""
        commitments = self._inbox.commitments
        for delivery, outcome in await asyncio.to_thread(commitments.reported, self._name):
            if outcome == COMMITTED:
                await self._delivered(delivery)
            else:
                await self._failed(delivery, NotDelivered(outcome, permanent=outcome in _FOR_GOOD))
        overdue = await asyncio.to_thread(commitments.overdue, self._name, self._answer_s)
        await self._unanswered(overdue, NotDelivered(TIMED_OUT), at_once=True)

    async def ask(self, least: int = 1) -> NotDelivered | None:
        """Ask for what is stored if there is so much of it; return why that came to nothing."""
        commitments = self._inbox.commitments
        stored = await asyncio.to_thread(commitments.unasked, self._name, MAX_ASKED)
        if len(stored) < least:
            return None
        deliveries: list[Delivery] = []
        instances = []
        for number, delivery in enumerate(stored):
            file = self._inbox.files.result(delivery.result.digest)
            try:
                meta = await asyncio.to_thread(read_file_meta, file)
            except OSError as error:
                claimed = [*deliveries, *stored[number:]]
                await asyncio.to_thread(put_back_if_away, self._inbox, claimed, error)
                await self._failed(delivery, unreadable(self._inbox, delivery, error))
                continue
            deliveries.append(delivery)
            instances.append(InstanceReference(meta.sop_class_uid, meta.sop_instance_uid))
        if not deliveries:
            return None
        transaction_uid = new_transaction_uid()
        await asyncio.to_thread(commitments.begin, transaction_uid, deliveries, self._answer_s)
        try:
            with faults_counted(self._name):
                await self._client.request_commitment(transaction_uid, instances)
        except NotDelivered as error:
            await self._unanswered(deliveries, error)
            return error
        await asyncio.to_thread(commitments.begun, deliveries)
        return None

    async def _unanswered(
        self, deliveries: list[Delivery], error: NotDelivered, *, at_once: bool = False
    ) -> None:
        """Ask again later, or give up after the last attempt."""
        for delivery in deliveries:
            delay_s = self._backoff.delay_s(delivery.attempts + 1)
            if delay_s is None:
                await self._failed(delivery, error)
                continue
            again = self._inbox.commitments.ask_again
            await asyncio.to_thread(again, delivery, error.code, 0.0 if at_once else delay_s)
