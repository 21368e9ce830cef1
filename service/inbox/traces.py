"""The traces of instances: each goes on with that of the request which brought it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from service.inbox.states import Delivery, Entry
from service.telemetry.observed import outcome_of
from service.telemetry.tracing import Headers, InstanceTraces, Trace, Tracing


class InboxTraces:
    """Begins the traces of processing and of delivery; for several threads.

    Parameters
    ----------
    tracing
        Where they go.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing, self._memory = tracing, InstanceTraces()

    def arrived(self, sop_instance_uids: Iterable[str], headers: Headers) -> None:
        """Remember with which trace instances came."""
        for uid in sop_instance_uids:
            self._memory.keep(("instance", uid), headers)

    @contextmanager
    def processing(self, entry: Entry) -> Iterator[Trace]:
        """Trace the processing of an instance while in the context."""
        parent = self._memory.recall(("instance", entry.sop_instance_uid))
        trace = self._tracing.begin("process", "consumer", parent, {"mammoseg.entry": entry.id})
        self._memory.keep(("entry", entry.id), trace.headers)
        with _ended(trace):
            yield trace

    @contextmanager
    def delivery(self, delivery: Delivery) -> Iterator[Trace]:
        """Trace an attempt to deliver a result while in the context."""
        parent = self._memory.recall(("entry", delivery.entry))
        trace = self._tracing.begin(
            "deliver",
            "client",
            parent,
            {
                "mammoseg.entry": delivery.entry,
                "mammoseg.kind": delivery.result.kind,
                "mammoseg.destination": delivery.destination,
                "mammoseg.attempt": delivery.attempts + 1,
            },
        )
        with _ended(trace):
            yield trace


@contextmanager
def _ended(trace: Trace) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        code = getattr(error, "code", None)
        trace.end(failure=code if isinstance(code, str) else outcome_of(error)[1])
        raise
    trace.end()
