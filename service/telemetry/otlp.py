"""Traces by OpenTelemetry, sent by OTLP over HTTP.

With `otlp_export.py`, the only file that imports it; extra `otel`.
"""

import time
from collections.abc import Mapping

from service.errors import StartupError
from service.telemetry.tracing import TRACEPARENT, Attributes, Headers, Kind, Tracing

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from service.telemetry.otlp_export import open_exporter
except ImportError:
    raise StartupError(
        "TRACE_ENDPOINT is set, and OpenTelemetry is not installed: pip install '.[otel]' in the "
        "checkout"
    ) from None

_KINDS: dict[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}

_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTrace:
    """A trace's part in this service, whose first span has begun.

    Parameters
    ----------
    tracer
        Begins spans.
    span
        The first one.
    """

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer, self._span = tracer, span
        self._context = set_span_in_context(span)
        self._epoch_ns = time.time_ns() - time.perf_counter_ns()

    @property
    def headers(self) -> Headers:
        """What carries the trace on to whoever is called."""
        headers: Headers = {}
        _PROPAGATOR.inject(headers, self._context)
        return headers

    def span(
        self,
        name: str,
        begin: float,
        end: float,
        attributes: Attributes | None = None,
        failure: str | None = None,
    ) -> None:
        """Tell of a part that has ended; see `Trace`."""
        if not self._span.is_recording():
            return
        part = self._tracer.start_span(
            name, self._context, attributes=attributes, start_time=self._at(begin)
        )
        _fail(part, failure)
        part.end(self._at(end))

    def end(
        self,
        attributes: Attributes | None = None,
        failure: str | None = None,
        name: str | None = None,
    ) -> None:
        """Tell that all of it has ended; see `Trace`."""
        if self._span.is_recording():
            if name is not None:
                self._span.update_name(name)
            self._span.set_attributes(dict(attributes or {}))
            _fail(self._span, failure)
            self._span.end()

    def _at(self, moment: float) -> int:
        """Return a moment of `time.perf_counter` in nanoseconds since 1970."""
        return self._epoch_ns + round(moment * 1e9)


class OtlpTracing:
    """Sends traces from a thread of its own, a batch at a time; what it cannot send it drops.

    Parameters
    ----------
    provider
        With its exporter.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("mammoseg")

    def begin(
        self, name: str, kind: Kind, parent: Mapping[str, str], attributes: Attributes | None = None
    ) -> OtlpTrace:
        """Begin a trace, or go on with its parent's; see `Tracing`."""
        carrier = {TRACEPARENT: parent[TRACEPARENT]} if TRACEPARENT in parent else {}
        # Not the context of the moment: a trace of another request might be in it.
        context = _PROPAGATOR.extract(carrier, Context())
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes)
        return OtlpTrace(self._tracer, span)

    def close(self) -> None:
        """Send what was told, and stop."""
        self._provider.shutdown()


def open_otlp(endpoint: str, share: float, version: str) -> Tracing:
    """Return where traces go; see `open_tracing`.

    What else a collector wants, as a header or a certificate, is said to the exporter by its own
    variables, OTEL_EXPORTER_OTLP_*.
    """
    resource = Resource({"service.name": "mammoseg", "service.version": version})
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)), resource=resource, shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(open_exporter(endpoint)))
    return OtlpTracing(provider)


def _fail(span: Span, failure: str | None) -> None:
    if failure is not None:
        span.set_status(Status(StatusCode.ERROR, failure))
        span.set_attribute("error.type", failure)
