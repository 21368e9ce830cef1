"""Everything that goes wrong becomes application/problem+json (RFC 9457)."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from service.errors import InvalidRequest, MammosegError

MEDIA_TYPE = "application/problem+json"
PROBLEM_REF = "#/components/schemas/Problem"
VALIDATION_REF = "#/components/schemas/HTTPValidationError"


class Problem(BaseModel):
    """RFC 9457, with our stable `code` and the `request_id` to find in the log."""

    type: str = Field(description="urn:mammoseg:problem:<code>")
    title: str
    status: int
    code: str
    detail: str
    request_id: str


def problem_of(error: MammosegError, request_id: str) -> Problem:
    """Return the document of an error."""
    return Problem(
        type=f"urn:mammoseg:problem:{error.code}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
    )


def problem_response(error: MammosegError, request_id: str) -> JSONResponse:
    """Answer with the error's own status, code and message."""
    problem = problem_of(error, request_id)
    return JSONResponse(problem.model_dump(), error.status, error.headers, MEDIA_TYPE)


async def refuse(error: MammosegError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with an error from outside the routes; log, metrics and trace name it, too."""
    scope["state"]["problem_code"] = error.code
    await problem_response(error, scope["state"]["request_id"])(scope, receive, send)


def install_handlers(app: FastAPI) -> None:
    """Register the handlers of our own errors, FastAPI's and Starlette's."""
    app.add_exception_handler(MammosegError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


def _answer(request: Request, error: MammosegError) -> Response:
    request.state.problem_code = error.code
    return problem_response(error, request.state.request_id)


def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MammosegError)
    return _answer(request, error)


def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Parameters are named, their values never: they are the caller's.
    names = sorted({".".join(map(str, fault["loc"][1:])) for fault in error.errors()})
    known = [name for name in names if name.isidentifier()]
    detail = f"Out of bounds or malformed: {', '.join(known) or 'a parameter'}."
    return _answer(request, InvalidRequest("invalid-parameter", detail))


def describe_problems(app: FastAPI) -> None:
    """Put the schema of a problem into the API's description, where the routes refer to it."""
    build = app.openapi

    def with_problem() -> dict[str, Any]:
        schema = build()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        # FastAPI describes its own 422 bodies, which our handler never sends.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operation in [each for path in schema["paths"].values() for each in path.values()]:
            if VALIDATION_REF in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
        return schema

    app.openapi = with_problem  # type: ignore[method-assign]


_HTTP: dict[int, tuple[str, str]] = {
    404: ("not-found", "There is no such route."),
    405: ("method-not-allowed", "The route does not take this method."),
}


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, detail = _HTTP.get(error.status_code, ("http-error", "The request was refused."))
    answer = _answer(request, _http_error(error.status_code, code, detail))
    answer.headers.update(error.headers or {})
    return answer


def _http_error(status: int, code: str, detail: str) -> MammosegError:
    kind: Any = type("HttpError", (MammosegError,), {"status": status, "title": detail.rstrip(".")})
    error: MammosegError = kind(code, detail)
    return error
