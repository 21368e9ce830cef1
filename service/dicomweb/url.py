"""The URL of a server, as it may be shown."""

import httpx


def without_credentials(url: str) -> str:
    """Return a URL for an operator's eyes: without the name and password that may stand in it."""
    try:
        return str(httpx.URL(url).copy_with(userinfo=b""))
    except httpx.InvalidURL:
        return "the URL"
