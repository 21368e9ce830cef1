"""What a request leaves to be done once its answer is out."""

from collections.abc import Callable

from starlette.types import Scope

_KEY = "after_answer"


def after_answer(scope: Scope) -> list[Callable[[], None]]:
    """Return what is called once a request's answer is out, or it ended without; to be added to."""
    calls: list[Callable[[], None]] = scope["state"].setdefault(_KEY, [])
    return calls
