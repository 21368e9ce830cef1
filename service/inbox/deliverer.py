"""Brings results to one destination, one after another."""

import asyncio
import time

import structlog

from service.backoff import Backoff
from service.dicomweb.stow_client import NotDelivered, StowClient
from service.inbox.inbox import Inbox
from service.inbox.poller import Poller
from service.inbox.states import Delivery
from service.inbox.traces import InboxTraces
from service.metrics import Metrics

log = structlog.get_logger("mammoseg")

MAX_PAUSE_S = 60.0
"""A destination that does not answer is not asked for the next object before a pause; it grows to
this, so that a queue does not use up its attempts, nor wait long once the destination is back."""

RESULT_MISSING = "result-missing"
RESULT_UNREADABLE = "result-unreadable"


class Deliverer:
    """Delivers what is due at one destination, until it is stopped.

    A delivery is entered after the destination's answer. A crash in between sends the same file
    again: byte for byte the same SOP instance.

    Parameters
    ----------
    inbox
        Where the results lie.
    client
        Of the destination.
    backoff
        Of the attempts.
    poller
        When to look.
    metrics, traces
        Where attempts are counted, and traced.
    """

    def __init__(
        self,
        inbox: Inbox,
        client: StowClient,
        *,
        backoff: Backoff,
        poller: Poller,
        metrics: Metrics,
        traces: InboxTraces,
    ) -> None:
        self._inbox, self.client, self._backoff = inbox, client, backoff
        self._name = client.destination.name
        self.poller, self._traces = poller, traces
        self._counter, self._seconds = metrics.deliveries, metrics.delivery_seconds
        self._unreachable = 0

    async def step(self) -> None:
        """Deliver what has waited longest, or wait for the next round."""
        delivery = await asyncio.to_thread(self._inbox.deliveries.due, self._name)
        if delivery is None:
            await self.poller.wait()
            return
        try:
            await self._attempt(delivery)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            code = RESULT_MISSING if gone else RESULT_UNREADABLE
            await self._failed(delivery, NotDelivered(code, permanent=gone))
        except NotDelivered as error:
            await self._failed(delivery, error)
        else:
            self._unreachable = 0
            await asyncio.to_thread(self._delivered, delivery)

    async def _attempt(self, delivery: Delivery) -> None:
        result, begin = delivery.result, time.perf_counter()
        try:
            with self._traces.delivery(delivery) as trace:
                file = self._inbox.files.result(result.digest)
                await self.client.store(file, result.sop_instance_uid, trace.headers)
        finally:
            self._seconds.labels(self._name).observe(time.perf_counter() - begin)

    def _delivered(self, delivery: Delivery) -> None:
        complete = self._inbox.deliveries.delivered(delivery)
        if complete and not self._inbox.keep_files:
            for digest in self._inbox.deliveries.results_gone(delivery.entry):
                self._inbox.files.discard_result(digest)
        self._counter.labels(self._name, "delivered").inc()
        self._log(delivery, "inbox-delivered")

    async def _failed(self, delivery: Delivery, error: NotDelivered) -> None:
        deliveries = self._inbox.deliveries
        delay_s = None if error.permanent else self._backoff.delay_s(delivery.attempts + 1)
        if delay_s is None:
            await asyncio.to_thread(deliveries.dead, delivery, error.code)
            self._counter.labels(self._name, "dead").inc()
            self._log(delivery, "inbox-dead", code=error.code)
        else:
            await asyncio.to_thread(deliveries.failed, delivery, error.code, delay_s)
            self._counter.labels(self._name, "failed").inc()
            self._log(delivery, "inbox-not-delivered", code=error.code, again_s=round(delay_s, 1))
        if error.reachable:
            self._unreachable = 0
            return
        self._unreachable += 1
        await self.poller.pause(min(self._backoff.pause_s(self._unreachable), MAX_PAUSE_S))

    def _log(self, delivery: Delivery, event: str, **more: object) -> None:
        (log.info if event == "inbox-delivered" else log.warning)(
            event,
            entry=delivery.entry,
            kind=delivery.result.kind,
            destination=self._name,
            attempt=delivery.attempts + 1,
            **more,
        )
