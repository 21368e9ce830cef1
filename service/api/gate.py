"""Who may come in: asked before anything of a request's body is read, and before it is routed."""

from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.access import AccessControl
from service.access.caller import Caller
from service.api.problems import problem_response
from service.errors import MammosegError


class Gate:
    """Pure ASGI middleware within `RequestContext`: it sees a path as the routes do.

    Parameters
    ----------
    app
        What lies behind.
    access
        Decides.
    """

    def __init__(self, app: ASGIApp, access: AccessControl) -> None:
        self.app, self._access = app, access

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
            state["problem_code"] = error.code
            state["address"] = address
            await problem_response(error, state["request_id"])(scope, receive, send)
            return
        state["caller"] = caller
        await self.app(scope, receive, send)


def caller_of(request: Request) -> str | None:
    """Return what tells the sender of a request from others; None where nobody was asked."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return None if caller is None else caller.identity
