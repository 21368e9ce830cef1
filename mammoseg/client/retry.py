"""When to ask again: as the service says, else longer each time, and not for ever."""

import math
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from mammoseg.client.errors import Problem, ServiceUnreachable, problem_error

PASSING = frozenset((429, 502, 503))
"""Statuses that another try may not meet. Each request may be sent again: it changes nothing."""

FIRST_PAUSE_S = 0.5
"""Where nobody says how long; doubled each time, and never in step with others."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to ask again.

    Attributes
    ----------
    tries
        In all; 1 for no second one.
    longest_wait_s
        Between all tries together, seconds. Where the service asks for more, the error is raised
        at once.
    """

    tries: int = 5
    longest_wait_s: float = 60.0


class Attempts:
    """The tries of one request; says after each whether to wait, and how long."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures, self._waited_s = 0, 0.0

    def after(self, response: httpx.Response) -> float | None:
        """Return how many seconds to wait before the next try; None where this answer is good.

        Raises
        ------
        ProblemError
            The service says no, and no further try is due.
        """
        if response.is_success:
            return None
        retry_after_s = retry_after(response)
        error = problem_error(problem_of(response), retry_after_s)
        if response.status_code not in PASSING:
            raise error
        pause_s = self._pause(retry_after_s)
        if pause_s is None:
            raise error
        return pause_s

    def after_failure(self, error: httpx.TransportError) -> float:
        """Return how many seconds to wait after no answer came.

        Raises
        ------
        ServiceUnreachable
            No further try is due. A time-out is none to repeat: the service may be at work.
        """
        is_late = isinstance(error, httpx.TimeoutException) and not isinstance(
            error, httpx.ConnectTimeout
        )
        # What cannot be sent is no outage.
        is_ours = isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
        pause_s = None if is_late or is_ours else self._pause(None)
        if pause_s is None:
            what = "in time" if isinstance(error, httpx.TimeoutException) else "at all"
            raise ServiceUnreachable(f"no answer came {what} ({type(error).__name__})") from error
        return pause_s

    def _pause(self, wanted_s: float | None) -> float | None:
        self._failures += 1
        if self._failures >= self._policy.tries:
            return None
        if wanted_s is None:
            doubled_s = FIRST_PAUSE_S * 2.0 ** (self._failures - 1)
            wanted_s = doubled_s * random.uniform(0.5, 1.0)  # noqa: S311
        self._waited_s += wanted_s
        return wanted_s if self._waited_s <= self._policy.longest_wait_s else None


def retry_after(response: httpx.Response) -> float | None:
    """Return what Retry-After says (RFC 9110, 10.2.3), seconds from now; None for nothing."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        seconds = float(text)
    else:
        try:
            seconds = max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) else None


def problem_of(response: httpx.Response) -> Problem:
    """Read the problem document of an answer, or make one of its status."""
    try:
        document = response.json()
    except ValueError:
        document = None
    return Problem.from_json(document, response.status_code)
