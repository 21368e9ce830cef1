"""Which URLs give what can be believed."""

from urllib.parse import urlsplit

LOOPBACKS = frozenset({"localhost", "127.0.0.1", "::1"})


def is_secure(url: str) -> bool:
    """Tell whether what a URL gives can be believed: it is https, or on this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACKS)
    )
