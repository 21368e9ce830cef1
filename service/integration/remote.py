"""One way to ask another machine over HTTP: what may be tried again is told from what may not."""

from typing import Any

import httpx

from service.dicomweb.url import without_credentials

TRY_AGAIN = frozenset((408, 425, 429))
"""Of the refusals, those that speak of the moment and not of what was sent; so do all 5xx."""


NEVER_SENT = (
    *(httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL),
    UnicodeEncodeError,
)
"""What a request of ours ends with that nobody can be asked by: waiting mends nothing."""


class Unavailable(Exception):
    """The other side does not answer now, or says to come back.

    Parameters
    ----------
    reason
        A status, the kind of failure, or the code of a 500 of our service; never other text of the
        answer.
    retry_after_s
        When to come back, where it said so.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """The other side will not take this, however often it is sent.

    Parameters
    ----------
    reason
        The problem's code, or the status.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Denied(Exception):
    """The other side wants other credentials, or is not what it was taken for.

    Parameters
    ----------
    reason
        For the operator.
    """


def ask(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """Send one request and give the answer, which is a success.

    Raises
    ------
    Unavailable
        No answer, or one that speaks of the moment.
    Denied
        401 or 403; or the request is none that can be sent, now or later.
    Refused
        Another 4xx; `reason` is the code of our service's problem where it has one.
    """
    try:
        answer = client.request(method, path, **options)
    except NEVER_SENT as error:
        where = without_credentials(str(client.base_url))
        reason = f"{type(error).__name__}: check the URL and the credentials"
        raise Denied(f"{where} cannot be asked ({reason})") from None
    except httpx.HTTPError as error:
        raise Unavailable(type(error).__name__) from None
    if answer.is_success:
        return answer
    if answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
        # An error of our service's own says which: the net's is mended otherwise than a fault.
        code = _problem_code(answer) if answer.status_code == 500 else None
        raise Unavailable(code or f"http-{answer.status_code}", _retry_after(answer))
    if answer.status_code in (401, 403):
        where = without_credentials(str(client.base_url))
        raise Denied(f"{where} answers {answer.status_code}: check the credentials")
    raise Refused(_problem_code(answer) or f"http-{answer.status_code}")


def _retry_after(answer: httpx.Response) -> float | None:
    """Read Retry-After in its form of seconds (RFC 9110, 10.2.3); dates are not looked at."""
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() and len(seconds) < 6 else None


def _problem_code(answer: httpx.Response) -> str | None:
    if answer.headers.get("Content-Type", "").split(";")[0] != "application/problem+json":
        return None
    try:
        code = answer.json().get("code")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, str) else None
