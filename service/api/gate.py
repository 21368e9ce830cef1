"""Who may come in: asked before anything of a request's body is read, and before it is routed."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.access import AccessControl
from service.access.caller import Caller, NotInScope
from service.api.problems import refuse
from service.audit.event import AuditEvent, Participant
from service.audit.events import function_refused, login_refused
from service.audit.participants import http_caller
from service.audit.trail import NO_TRAIL, AuditTrail
from service.errors import MammosegError, Unauthenticated


class Gate:
    """Pure ASGI middleware within `RequestContext`: it sees a path as the routes do.

    Parameters
    ----------
    app
        What lies behind.
    access
        Decides.
    audit
        Is told of whom it refuses.
    """

    def __init__(self, app: ASGIApp, access: AccessControl, audit: AuditTrail = NO_TRAIL) -> None:
        self.app, self._access, self._audit = app, access, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope["state"]
        address = (scope.get("client") or ("",))[0]
        try:
            caller = await self._access.admit(scope["path"], scope["headers"], address)
        except MammosegError as error:
            state["address"] = address
            await self._tell(error, address)
            await refuse(error, scope, receive, send)
            return
        state["caller"] = caller
        await self.app(scope, receive, send)

    async def _tell(self, error: MammosegError, address: str) -> None:
        """Tell the audit trail of a refusal; of one for asking too often there was one before."""
        event = self._event(error, address) if self._audit.is_on else None
        if event is not None:
            await asyncio.to_thread(self._audit.record, [event])

    def _event(self, error: MammosegError, address: str) -> AuditEvent | None:
        process = self._audit.process
        if isinstance(error, Unauthenticated):
            code = "credentials-refused" if error.tried else "no-credentials"
            return login_refused(http_caller(None, address), process, code)
        if isinstance(error, NotInScope):
            return function_refused(http_caller(error.caller, address), process, error.scope)
        return None


def caller_of(request: Request) -> str | None:
    """Return what tells the sender of a request from others; None where nobody was asked."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return None if caller is None else caller.identity


def requester_of(request: Request) -> Participant:
    """Return the sender of a request as the audit trail names it."""
    address = request.client.host if request.client is not None else ""
    return http_caller(getattr(request.state, "caller", None), address)
