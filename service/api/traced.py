"""The trace of a request, which the middleware begins and ends."""

from starlette.requests import Request

from service.telemetry.tracing import NO_TRACE, Trace


def trace_of(request: Request) -> Trace:
    """Return the trace of a request; one that is none where tracing is off."""
    trace: Trace = request.scope.get("state", {}).get("trace", NO_TRACE)
    return trace
