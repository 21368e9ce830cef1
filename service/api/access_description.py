"""What the API's description says of access: who needs which scope, made from the table itself."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from service.access.scopes import Scope, need_of
from service.api.description import problem_responses

SCHEME = "bearer"

_SCHEMES = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or an access token of the configured OpenID provider; asked "
        "for where either is configured.",
    }
}
_REFUSALS = problem_responses(
    {
        401: "No valid key or token; asked for where access is configured.",
        403: "The key or token has not the scope.",
        429: "Too many requests of this caller; see Retry-After.",
    }
)


def describe_access(app: FastAPI) -> None:
    """Put into the API's description what each path needs."""
    build = app.openapi

    def with_access() -> dict[str, Any]:
        schema = build()
        schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
        for path, operations in schema["paths"].items():
            need = need_of(path)
            for operation in operations.values():
                operation["security"] = [] if need == "nothing" else [{SCHEME: _scopes(need)}]
                if need != "nothing":
                    # Copies, which YAML would else write as references.
                    for status, answer in _REFUSALS.items():
                        operation["responses"][str(status)] = deepcopy(answer)
        return schema

    app.openapi = with_access  # type: ignore[method-assign]


def _scopes(need: str) -> list[str]:
    return [str(need)] if isinstance(need, Scope) else []
