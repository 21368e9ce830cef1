"""Traces of requests and instances, as the rest of the service sees them: on or off.

A span is told of once it has ended, with the times that are measured anyway; so tracing costs
nothing where it is off, and no other file knows of OpenTelemetry, which `otlp.py` alone imports.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Literal, Protocol

Attributes = Mapping[str, str | int | float | bool]
"""Of a span: codes, sizes, routes; never anything from an image."""

Kind = Literal["server", "client", "consumer"]
"""Of the first span: a request to us, a request of ours, or work that was left in the inbox."""

Headers = dict[str, str]
"""`traceparent` (W3C Trace Context); empty for no trace."""

TRACEPARENT = "traceparent"
"""Alone: `tracestate` may hold any text of a caller's, which no destination is to be sent."""

MAX_REMEMBERED = 10_000


class Trace(Protocol):
    """One trace's part in this service; for several threads."""

    @property
    def headers(self) -> Headers:
        """What carries the trace on to whoever is called."""

    def span(
        self,
        name: str,
        begin: float,
        end: float,
        attributes: Attributes | None = None,
        failure: str | None = None,
    ) -> None:
        """Tell of a part that has ended.

        Parameters
        ----------
        name
            Of the part.
        begin, end
            By `time.perf_counter`.
        attributes
            What is known of it.
        failure
            Code of why it failed; None where it did not.
        """

    def end(
        self,
        attributes: Attributes | None = None,
        failure: str | None = None,
        name: str | None = None,
    ) -> None:
        """Tell that all of it has ended, now; `name` where a better one is known by then."""


class Tracing(Protocol):
    """Where traces go."""

    def begin(
        self, name: str, kind: Kind, parent: Mapping[str, str], attributes: Attributes | None = None
    ) -> Trace:
        """Begin a trace, or go on with the one that `parent`, which may hold anything, names."""

    def close(self) -> None:
        """Send what was told, for a bounded time, and stop."""


class _NoTrace:
    @property
    def headers(self) -> Headers:
        return {}

    def span(
        self,
        name: str,
        begin: float,
        end: float,
        attributes: Attributes | None = None,
        failure: str | None = None,
    ) -> None:
        pass

    def end(
        self,
        attributes: Attributes | None = None,
        failure: str | None = None,
        name: str | None = None,
    ) -> None:
        pass


NO_TRACE: Trace = _NoTrace()


class NoTracing:
    """Tells nobody."""

    def begin(
        self, name: str, kind: Kind, parent: Mapping[str, str], attributes: Attributes | None = None
    ) -> Trace:
        """Return a trace that is none."""
        return NO_TRACE

    def close(self) -> None:
        """Nothing to send."""


class InstanceTraces:
    """Which trace an instance of the inbox came with, for as long as the process runs.

    Processing and delivery come later, and go on with that trace. It is not written to the disk:
    after a restart an instance begins a trace of its own. For several threads.
    """

    def __init__(self) -> None:
        self._headers: OrderedDict[Hashable, Headers] = OrderedDict()

    def keep(self, key: Hashable, headers: Headers) -> None:
        """Remember a trace; of more than `MAX_REMEMBERED` the oldest is forgotten."""
        if not headers:
            return
        self._headers[key] = headers
        while len(self._headers) > MAX_REMEMBERED:
            self._headers.popitem(last=False)

    def recall(self, key: Hashable) -> Headers:
        """Return a trace that was remembered; empty where none was."""
        return self._headers.get(key, {})
