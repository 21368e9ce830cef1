"""Secrets as people give them: in variables and files, where a line's end comes with them."""

import re

_VISIBLE = re.compile(r"[!-~]+")

RULE = "must be visible ASCII, without white space: it goes into a header"


def given(text: str) -> str:
    """Return a value without the white space around it; a name or a key never has any."""
    return text.strip()


def is_bearer(token: str) -> bool:
    """Tell whether a token may stand in a header (RFC 6750, 2.1; some have further characters)."""
    return _VISIBLE.fullmatch(token) is not None
