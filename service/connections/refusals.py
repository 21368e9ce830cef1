"""What connections are refused with before there is a request: counted and logged like one."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger("mammoseg")

QUIET_S = 10.0
"""Between two lines of the log that say that there are too many connections, seconds: whoever opens
them writes no log that fills a disk."""


class ConnectionRefusals:
    """Told of each.

    Parameters
    ----------
    count
        Called with the code of each.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self, count: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._clock = count, clock
        self._silent_until = float("-inf")
        self._not_logged = 0

    def refused(self, code: str, request_id: str) -> None:
        """Note that bytes which never became a request got a problem as their answer."""
        self._count(code)
        log.info("connection-refused", code=code, request_id=request_id)

    def too_many(self, code: str, request_id: str) -> None:
        """Note that a connection was refused because of how many there are."""
        self._count(code)
        self._not_logged += 1
        now = self._clock()
        if now >= self._silent_until:
            log.warning(
                "connection-refused", code=code, request_id=request_id, refused=self._not_logged
            )
            self._silent_until, self._not_logged = now + QUIET_S, 0
