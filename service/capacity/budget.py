"""Memory that is claimed before it is used: first come, first served."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.cancellation import CancelToken
from service.errors import Overloaded

GUESS = 32 * 2**20
"""Bytes of a body whose length is not declared: most mammograms are smaller."""


def _in_a_second() -> float:
    return 1.0


@dataclass(slots=True, eq=False)
class Claim:
    """What one body takes of the budget.

    Attributes
    ----------
    declared
        Bytes that will come at most; None where nobody says.
    held
        Bytes of memory that it has.
    """

    declared: int | None = None
    held: int = 0

    @property
    def remaining(self) -> int:
        """Bytes that it may still want; where nobody says, up to the next multiple of a guess."""
        if self.declared is None:
            return GUESS - self.held % GUESS
        return max(0, self.declared - self.held)


class BodyBudget:
    """Bytes for bodies; for the event loop's thread alone.

    Memory is claimed as bytes come, not as they are declared, so that who declares much and sends
    little keeps nobody waiting. So that those who have some never wait for one another, it is
    granted only where all can still come to their ends, one after another (the banker's algorithm,
    Dijkstra 1965).

    Parameters
    ----------
    size
        Bytes in all.
    retry_after_s
        Tells after how many seconds one that found none may come again.
    """

    def __init__(self, size: int, retry_after_s: Callable[[], float] = _in_a_second) -> None:
        self._size = self._free = size
        self._retry_after_s = retry_after_s
        self._claims: set[Claim] = set()
        self._waiting: deque[tuple[Claim, int, asyncio.Future[None]]] = deque()

    async def grow(self, claim: Claim, size: int, timeout_s: float) -> None:
        """Wait for so much memory more, and take it: with what is held, at most all there is.

        Raises
        ------
        Overloaded
            No memory came free in time.
        """
        size = min(size, self._size - claim.held)
        if claim.declared is not None:
            size = min(size, claim.remaining)
        # Not behind those who wait: they may wait for one that sends slowly.
        if self._take(claim, size):
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, size, granted))
        try:
            async with asyncio.timeout(timeout_s):
                await granted
        except (TimeoutError, asyncio.CancelledError) as error:
            if not granted.cancelled():
                self._untake(claim, size)
            self._grant()
            if isinstance(error, TimeoutError):
                raise self._none() from None
            raise

    def give_back(self, claim: Claim) -> None:
        """Let go of all of a claim, to those who wait."""
        self._free += claim.held
        claim.held = 0
        self._claims.discard(claim)
        self._grant()

    def _grant(self) -> None:
        for _ in range(len(self._waiting)):
            claim, size, granted = self._waiting.popleft()
            if granted.cancelled():
                continue
            if self._take(claim, size):
                granted.set_result(None)
            else:
                self._waiting.append((claim, size, granted))

    def _take(self, claim: Claim, size: int) -> bool:
        """Take memory if there is, and if all can still come to their ends."""
        if size > self._free:
            return False
        claim.held += size
        self._free -= size
        self._claims.add(claim)
        if self._is_safe():
            return True
        self._untake(claim, size)
        return False

    def _untake(self, claim: Claim, size: int) -> None:
        claim.held -= size
        self._free += size
        if not claim.held:
            self._claims.discard(claim)

    def _is_safe(self) -> bool:
        free = self._free
        # Whoever wants least ends first, and gives back what it has.
        wants = [(min(one.remaining, self._size - one.held), one.held) for one in self._claims]
        for remaining, held in sorted(wants):
            if remaining > free:
                return False
            free += held
        return True

    def _none(self) -> Overloaded:
        detail = "There is no memory for the image now; try again later."
        return Overloaded("busy", detail, self._retry_after_s())


class PixelBudget:
    """Bytes for the images that are worked on; for worker threads.

    Parameters
    ----------
    size
        Bytes in all.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def claim(self, size: int, token: CancelToken) -> Iterator[None]:
        """Wait for so much memory and hold it while in the context.

        An image that is larger than all there is waits until it is alone.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            Nobody waits any more.
        """
        size, ticket = min(size, self._size), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                token.wait_for(
                    self._changed, lambda: self._waiting[0] is ticket and size <= self._free
                )
                self._free -= size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
