"""Around every request: an id, a log line, metrics, and a wall that no exception text passes."""

import asyncio
import time
import uuid
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.after_answer import after_answer
from service.api.lingering_close import Lingering
from service.api.problems import refuse
from service.api.security_headers import with_security_headers
from service.api.upload_throttle import UploadThrottle
from service.errors import HeadersTooLarge, MammosegError, Overloaded
from service.logs import where
from service.metrics import Metrics
from service.telemetry.tracing import NO_TRACE, TRACEPARENT, Headers, NoTracing, Trace, Tracing

MAX_HEADER_BYTES = 16 * 1024
"""Names and values together; parsers of headers take long over long ones."""

QUIET = ("/health", "/metrics")
"""Routes that are asked all the time: neither logged nor traced."""

METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))

log = structlog.get_logger("mammoseg")


def _with_head(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return (b"allow", b"GET, HEAD") if field == (b"allow", b"GET") else field


def _refuse_long_headers(scope: Scope) -> None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise HeadersTooLarge("headers-too-large", "The request's headers are too long.")


def as_routed(scope: Scope) -> Scope:
    """Return the request as the routes know it: HEAD as GET, a path without its last slash.

    HEAD is answered as GET is, without the content (RFC 9110, 9.3.2). A redirect to the path
    without its slash would name http://, and some clients would then lose the method or the body.
    """
    path: str = scope["path"]
    changes: dict[str, Any] = {"method": "GET"} if scope["method"] == "HEAD" else {}
    if len(path) > 1 and path.endswith("/"):
        changes["path"] = path.removesuffix("/")
        changes["raw_path"] = scope.get("raw_path", path.encode()).removesuffix(b"/")
    return {**scope, **changes}


def trace_response(trace: Trace) -> list[tuple[bytes, bytes]]:
    """Return the header that tells the caller its trace (W3C Trace Context, Level 2)."""
    parent = trace.headers.get(TRACEPARENT)
    return [] if parent is None else [(b"traceresponse", parent.encode("ascii"))]


def end_trace(trace: Trace, scope: Scope, method: str, status: int) -> None:
    """End a request's trace; names of attributes are OpenTelemetry's semantic conventions."""
    if trace is NO_TRACE:
        return
    code: str | None = scope["state"].get("problem_code")
    # A method may be any word of the caller's.
    verb = method if method in METHODS else "_OTHER"
    route = getattr(scope.get("route"), "path", "unmatched")
    attributes = {
        "http.request.method": verb,
        "http.route": route,
        "http.response.status_code": status,
        "mammoseg.request_id": scope["state"]["request_id"],
        **({} if code is None else {"mammoseg.code": code}),
    }
    failure = (code or str(status)) if status >= 499 else None
    trace.end(attributes, failure, f"{verb} {route}")


def _parent(scope: Scope) -> Headers:
    """Return a request's `traceparent`, if it has one and only one."""
    values = [value for name, value in scope["headers"] if name == TRACEPARENT.encode()]
    return {TRACEPARENT: values[0].decode("latin-1")} if len(values) == 1 else {}


class RequestContext:
    """Pure ASGI middleware; the outermost, so that it also sees what FastAPI does not handle."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, tracing: Tracing | None = None, hsts_s: int = 0
    ) -> None:
        self.app = app
        self.metrics = metrics
        self._tracing = tracing or NoTracing()
        self._hsts_s = hsts_s
        self._upload_throttle = UploadThrottle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other scopes pass through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Never the caller's own id: a header may hold anything, a patient's name too.
        request_id = uuid.uuid4().hex
        method = scope["method"]
        scope = as_routed(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        trace = self._begin_trace(scope)
        answered: dict[str, int] = {}
        lingering = Lingering(scope, self._upload_throttle.before(receive), send)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
                message["headers"] = [
                    *map(
                        _with_head,
                        with_security_headers(
                            message.get("headers", []), scope["scheme"] == "https", self._hsts_s
                        ),
                    ),
                    (b"x-request-id", request_id.encode("ascii")),
                    *trace_response(trace),
                ]
            elif method == "HEAD":
                message = {**message, "body": b""}
            await lingering.send(message)

        try:
            _refuse_long_headers(scope)
            await self.app(scope, lingering.receive, send_with_id)
        except HeadersTooLarge as error:
            await refuse(error, scope, receive, send_with_id)
        except asyncio.CancelledError:
            # The drain's time is up: the caller learns that it may try elsewhere.
            if "status" not in answered:
                refusal = Overloaded("draining", "The service is shutting down.")
                await refuse(refusal, scope, receive, send_with_id)
            raise
        except Exception as error:
            log.error(
                "unhandled", request_id=request_id, error=type(error).__name__, at=where(error)
            )
            if "status" not in answered:
                failure = MammosegError("internal", "An error on our side; it was logged.")
                await refuse(failure, scope, receive, send_with_id)
        finally:
            for call in after_answer(scope):
                call()
            status = answered.get("status", 499)
            self._record(scope, method, status, time.perf_counter() - started)
            end_trace(trace, scope, method, status)

    def _begin_trace(self, scope: Scope) -> Trace:
        """Begin a request's trace, or go on with the caller's; none of what is asked all the time.

        The route is known at the end only, and the path is the caller's text.
        """
        trace = NO_TRACE
        if not scope["path"].startswith(QUIET):
            trace = self._tracing.begin("request", "server", _parent(scope))
        scope["state"]["trace"] = trace
        return trace

    def _record(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route: Any = scope.get("route")
        # The route's template only: the path itself is the caller's text.
        path = getattr(route, "path", "unmatched")
        code: str | None = scope["state"].get("problem_code")
        if code is not None:
            self.metrics.problems.labels(code).inc()
        self.metrics.requests.labels(path, str(status)).inc()
        self.metrics.request_seconds.labels(path).observe(seconds)
        caller = scope["state"].get("caller")
        who = {} if caller is None else {"caller": caller.name}
        if "address" in scope["state"]:
            # Of those who were not let in: so that a firewall can be told.
            who["address"] = scope["state"]["address"]
        quiet = path.startswith(QUIET)
        (log.debug if quiet else log.info)(
            "request",
            request_id=scope["state"]["request_id"],
            method=method,
            route=path,
            status=status,
            code=code,
            ms=round(seconds * 1e3, 1),
            **who,
        )
