"""Brings results to one destination, one after another."""

import asyncio
import time
from typing import cast

import structlog

from service.audit.trail import NO_TRAIL, AuditTrail
from service.backoff import Backoff
from service.destinations.destination import (
    Client,
    CommittingClient,
    Destination,
    faults_counted,
)
from service.dimse.store_status import NotDelivered
from service.inbox.audited import DeliveryAudit
from service.inbox.committer import MAX_ASKED, Committer, put_back_if_away, unreadable
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.states import Delivery
from service.inbox.traces import InboxTraces
from service.metrics import Metrics

log = structlog.get_logger("mammoseg")

MAX_PAUSE_S = 60.0
"""A destination that does not answer is not asked for the next object before a pause; it grows to
this, so that a queue does not use up its attempts, nor wait long once the destination is back."""


class Deliverer:
    """Delivers what is due at one destination, until it is stopped.

    A delivery is entered after the destination's answer. A crash in between sends the same file
    again: byte for byte the same SOP instance.

    Parameters
    ----------
    inbox
        Where the results lie.
    destination
        Where they go.
    client
        Of the destination.
    backoff
        Of the attempts.
    poller
        When to look.
    metrics, traces, audit
        Where attempts are counted, traced, and told of.

    Attributes
    ----------
    name
        The destination's.
    """

    def __init__(
        self,
        inbox: Inbox,
        destination: Destination,
        client: Client,
        *,
        backoff: Backoff,
        poller: Poller,
        metrics: Metrics,
        traces: InboxTraces,
        audit: AuditTrail = NO_TRAIL,
    ) -> None:
        self._inbox, self.client, self._backoff = inbox, client, backoff
        self.name = destination.name
        self.poller, self._traces = poller, traces
        self._counter, self._seconds = metrics.deliveries, metrics.delivery_seconds
        self._audit = DeliveryAudit(audit, destination)
        self._unreachable = 0
        self._committer: Committer | None = None
        self._is_settled = False
        if destination.commitment_s is not None:
            self._committer = Committer(
                inbox,
                destination.name,
                cast(CommittingClient, client),
                answer_s=destination.commitment_s,
                backoff=backoff,
                delivered=self._delivered,
                failed=self._failed,
            )

    async def step(self) -> None:
        """Deliver what has waited longest, or wait for the next round.

        Raises
        ------
        LeaseLost
            What was worked on is another replica's by now.
        """
        if self._committer is None:
            await self._settle_stored()
        else:
            await self._committer.settle()
            await self._reached(await self._committer.ask(MAX_ASKED))
        delivery = await asyncio.to_thread(self._inbox.deliveries.due, self.name)
        if delivery is not None:
            await self._send(delivery)
            return
        if self._committer is not None:
            await self._reached(await self._committer.ask())
        await self.client.rest()
        await self.poller.wait()

    async def _send(self, delivery: Delivery) -> None:
        try:
            warning = await self._audited_attempt(delivery)
        except OSError as error:
            await asyncio.to_thread(put_back_if_away, self._inbox, [delivery], error)
            await self._failed(delivery, unreadable(self._inbox, delivery, error))
            return
        except NotDelivered as error:
            await self._failed(delivery, error)
            await self._reached(error)
            return
        self._unreachable = 0
        if warning is not None:
            self._log(delivery, "inbox-warning", status=f"{warning:04x}")
        if self._committer is None:
            await self._delivered(delivery)
            return
        await asyncio.to_thread(self._inbox.deliveries.stored, delivery)
        self._counter.labels(self.name, "stored").inc()
        self._log(delivery, "inbox-stored")

    async def _audited_attempt(self, delivery: Delivery) -> int | None:
        """Tell before, and after, and only then enter it: killed in between, it is sent again."""
        if not self._audit.is_on:
            return await self._attempt(delivery)
        # Nothing is told of what another replica sends by now.
        await asyncio.to_thread(self._inbox.deliveries.check, delivery)
        file = self._inbox.files.result(delivery.result.digest)
        await asyncio.to_thread(self._audit.begun, file)
        try:
            warning = await self._attempt(delivery)
        except NotDelivered as error:
            is_final = self._delay_s(delivery, error) is None
            await asyncio.to_thread(self._audit.ended, file, error.code, is_final=is_final)
            raise
        await asyncio.to_thread(self._audit.ended, file, None)
        return warning

    async def _attempt(self, delivery: Delivery) -> int | None:
        result, begin = delivery.result, time.perf_counter()
        try:
            await asyncio.to_thread(self._inbox.deliveries.check, delivery)
            with self._traces.delivery(delivery) as trace:
                file = self._inbox.files.result(result.digest)
                with faults_counted(self.name):
                    return await self.client.store(file, trace.headers)
        finally:
            self._seconds.labels(self.name).observe(time.perf_counter() - begin)

    async def _settle_stored(self) -> None:
        """Take what is stored for delivered, once: no commitment is asked for any more."""
        if self._is_settled:
            return
        for delivery in await asyncio.to_thread(self._inbox.deliveries.all_stored, self.name):
            await self._delivered(delivery)
        self._is_settled = True

    async def _delivered(self, delivery: Delivery) -> None:
        await asyncio.to_thread(self._enter_delivered, delivery)

    def _enter_delivered(self, delivery: Delivery) -> None:
        complete = self._inbox.deliveries.delivered(delivery)
        if complete and not self._inbox.keep_files:
            for digest in self._inbox.deliveries.results_gone(delivery.entry):
                self._inbox.files.discard_result(digest)
        self._counter.labels(self.name, "delivered").inc()
        self._log(delivery, "inbox-delivered")

    async def _failed(self, delivery: Delivery, error: NotDelivered) -> None:
        deliveries = self._inbox.deliveries
        delay_s = self._delay_s(delivery, error)
        if delay_s is None:
            await asyncio.to_thread(deliveries.dead, delivery, error.code)
            self._counter.labels(self.name, "dead").inc()
            self._log(delivery, "inbox-dead", code=error.code)
        else:
            await asyncio.to_thread(deliveries.failed, delivery, error.code, delay_s)
            self._counter.labels(self.name, "failed").inc()
            self._log(delivery, "inbox-not-delivered", code=error.code, again_s=round(delay_s, 1))

    def _delay_s(self, delivery: Delivery, error: NotDelivered) -> float | None:
        """Return when to try again, in seconds; None for never."""
        return None if error.permanent else self._backoff.delay_s(delivery.attempts + 1)

    async def _reached(self, error: NotDelivered | None) -> None:
        """Pause after an attempt that did not reach the destination, longer each time."""
        if error is None:
            return
        if error.reachable:
            self._unreachable = 0
            return
        self._unreachable += 1
        await self.poller.pause(min(self._backoff.pause_s(self._unreachable), MAX_PAUSE_S))

    def _log(self, delivery: Delivery, event: str, **more: object) -> None:
        (log.info if event in ("inbox-delivered", "inbox-stored") else log.warning)(
            event,
            entry=delivery.entry,
            kind=delivery.result.kind,
            destination=self.name,
            attempt=delivery.attempts + 1,
            **more,
        )
