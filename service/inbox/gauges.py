"""How the inbox stands, as metrics show it."""

from collections.abc import Sequence
from typing import get_args

from service.inbox.inbox import Inbox
from service.inbox.states import State
from service.metrics import Metrics


class InboxGauges:
    """Shows an inbox in the service's metrics.

    Parameters
    ----------
    inbox
        Which is shown.
    metrics
        The service's.
    destinations
        Their names.
    max_bytes
        That the inbox may take on the disk.
    """

    def __init__(
        self, inbox: Inbox, metrics: Metrics, destinations: Sequence[str], max_bytes: int
    ) -> None:
        self._inbox, self._metrics = inbox, metrics
        self._destinations, self._max_bytes = destinations, max_bytes

    def show(self) -> None:
        """Count what is in the inbox, and set every gauge."""
        instances, metrics = self._inbox.instances, self._metrics
        counts, open_ = instances.counts(), instances.delivery_counts()
        for state in get_args(State):
            metrics.inbox_instances.labels(state).set(counts.get(state, 0))
        for name in self._destinations:
            for state in ("waiting", "stored", "dead"):
                metrics.inbox_deliveries.labels(name, state).set(open_.get((name, state), 0))
        metrics.inbox_bytes.set(instances.bytes_held())
        metrics.inbox_max_bytes.set(self._max_bytes)
        metrics.inbox_oldest_seconds.set(self._inbox.processing.oldest_s())
        oldest_s = self._inbox.deliveries.oldest_s()
        for name in self._destinations:
            metrics.outbox_oldest_seconds.labels(name).set(oldest_s.get(name, 0.0))

    def clear(self) -> None:
        """Show nothing: another replica does."""
        self._metrics.clear_inbox()
