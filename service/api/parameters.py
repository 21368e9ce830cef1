"""The names that a request chooses by: those that are known, each once, and no others.

A name that is misspelt must not be taken for one that holds: its image would be measured in wrong
millimetres, or its mask gated, and nothing would say so.
"""

import difflib
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from service.api.options import FIELDS, repeated
from service.errors import InvalidRequest

ALIKE = 0.85
"""How like a name of `FIELDS`, of 1, a form's field must be to be meant as one (`difflib`). A form
may hold other things: `frameid` (0.83 of `frame`), `name` (0.67)."""

MAX_NAME = 64
"""Characters of a name that is looked at: none that is known is nearly as long."""


def check_query(request: Request) -> None:
    """Check that a query names only what its route takes, and nothing twice.

    Raises
    ------
    InvalidRequest
        It does not. The message says what is known, never what was sent.
    """
    known = _of_query(request)
    for name in request.query_params:
        if name not in known:
            nearest = _nearest(name, known, 0.6)
            hint = f"Is {nearest} meant?" if nearest else f"Known are {', '.join(known)}."
            raise _unknown(f"The query has a parameter that is not known. {hint}")
    for name in known:
        if len(request.query_params.getlist(name)) > 1:
            raise repeated(name)


def check_fields(request: Request, names: Iterable[str]) -> None:
    """Check that no text field of a form is meant as a choice, and is none.

    Fields of other names are a form's own, and are passed over: `mode` is of many forms, and is
    not `model`.

    Raises
    ------
    InvalidRequest
        One has the name of a parameter that only the query takes, whatever its case and its
        hyphens, or nearly that of one that a form takes.
    """
    in_query = [name for name in _of_query(request) if name not in FIELDS]
    for name in names:
        if name in FIELDS:
            continue
        if only := _nearest(name, in_query, 1.0):
            raise _unknown(f"{only} is a parameter of the query, not a field of the form.")
        if meant := _nearest(name, [*FIELDS], ALIKE):
            raise _unknown(f"The form has a field that is not known. Is {meant} meant?")


def _of_query(request: Request) -> list[str]:
    route: Any = request.scope["route"]
    return [parameter.alias for parameter in route.dependant.query_params]


def _nearest(name: str, known: list[str], alike: float) -> str | None:
    """Return the known name that is most like another, whatever its case and its hyphens."""
    if len(name) > MAX_NAME:
        return None
    by_letters = {_letters(each): each for each in known}
    found = difflib.get_close_matches(_letters(name), by_letters, 1, alike)
    return by_letters[found[0]] if found else None


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _unknown(detail: str) -> InvalidRequest:
    return InvalidRequest("unknown-parameter", detail)
