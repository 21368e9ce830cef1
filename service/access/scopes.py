"""What a caller may be allowed, and which paths need what."""

from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """What a key or a token may be given.

    Attributes
    ----------
    SEGMENT
        Send images and read what comes of them; ask for the model.
    INBOX
        Send instances to the inbox (STOW-RS).
    METRICS
        Read the metrics.
    ADMIN
        All of it.
    """

    SEGMENT = "segment"
    INBOX = "inbox"
    METRICS = "metrics"
    ADMIN = "admin"


Need = Scope | Literal["nothing", "a-caller"]
"""What a path needs: a scope, nothing, or only that the caller is known."""

NEEDS: tuple[tuple[str, Need], ...] = (
    ("/v1/", Scope.SEGMENT),
    ("/dicom-web/", Scope.INBOX),
    ("/metrics", Scope.METRICS),
    ("/health/", "nothing"),
    # The page and the API's description: the same in every installation, and public.
    ("/", "nothing"),
    ("/page/", "nothing"),
    ("/favicon.ico", "nothing"),
    ("/docs", "nothing"),
    ("/docs/", "nothing"),
    ("/redoc", "nothing"),
    ("/openapi.json", "nothing"),
)
"""By path; one that ends in a slash also stands for all paths below it, save "/" itself. What is
not listed, a route that was added and forgotten here too, needs a known caller."""


def need_of(path: str) -> Need:
    """Return what a path needs, given as the routes see it."""
    for listed, need in NEEDS:
        if path == listed or (listed != "/" and listed.endswith("/") and path.startswith(listed)):
            return need
    return "a-caller"


def allows(scopes: frozenset[Scope], need: Need) -> bool:
    """Tell whether a known caller with these scopes has what is needed."""
    return not isinstance(need, Scope) or need in scopes or Scope.ADMIN in scopes
