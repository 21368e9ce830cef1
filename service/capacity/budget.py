"""Memory that is claimed before it is used: first come, first served."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

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
        """Bytes that it may still ask for; to the next multiple of `GUESS` if none are declared."""
        if self.declared is None:
            return GUESS - self.held % GUESS
        return max(0, self.declared - self.held)


class BodyBudget:
    """Bytes for bodies; for the event loop's thread alone.

    Memory is claimed as bytes arrive, not as they are declared, so that a sender that declares much
    and sends little makes nobody wait. So that bodies never wait for each other for ever, memory is
    granted only if all bodies could then still be received whole, one after another (the banker's
    algorithm, Dijkstra 1965).

    Parameters
    ----------
    size
        Bytes in all.
    retry_after_s
        Returns after how many seconds a caller that got no memory may try again.
    """

    def __init__(self, size: int, retry_after_s: Callable[[], float] = _in_a_second) -> None:
        self._size = self._free = size
        self._retry_after_s = retry_after_s
        self._claims: set[Claim] = set()
        self._waiting: deque[tuple[Claim, int, asyncio.Future[None]]] = deque()

    async def grow(self, claim: Claim, size: int, timeout_s: float) -> None:
        """Wait for so much more memory and take it; a claim never exceeds the whole budget.

        Raises
        ------
        Overloaded
            No memory came free in time.
        """
        size = min(size, self._size - claim.held)
        if claim.declared is not None:
            size = min(size, claim.remaining)
        # Does not queue behind those who wait: they may be waiting for a slow sender.
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
        """Free all of a claim's memory, and grant it to those who wait."""
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
        """Take memory if it is free and all bodies could then still be received whole."""
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
        # The claim that wants least can be met first, and then gives back what it holds.
        wants = [(min(one.remaining, self._size - one.held), one.held) for one in self._claims]
        for remaining, held in sorted(wants):
            if remaining > free:
                return False
            free += held
        return True

    def _none(self) -> Overloaded:
        detail = "There is no memory for the image now; try again later."
        return Overloaded("busy", detail, self._retry_after_s())


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    size: int


class PixelBudget:
    """Bytes for the images that are worked on; for worker threads.

    First come, first served. But while memory is lent, whoever fits passes by those who cannot be
    served before it comes back, however many images end: so one large image keeps nobody else
    waiting for that, and waits itself no longer than for that.

    Parameters
    ----------
    size
        Bytes in all.
    """

    def __init__(self, size: int) -> None:
        self.size = self._free = size
        self._lent = 0
        self._changed = threading.Condition()
        self._waiting: deque[_Wanted] = deque()

    @contextmanager
    def claim(self, size: int, token: CancelToken) -> Iterator[None]:
        """Wait for so much memory and hold it while in the context.

        An image that is larger than the whole budget waits until it is alone.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            The caller left, or its deadline passed.
        """
        with self._holding(size, token):
            yield

    @contextmanager
    def lend(self, size: int, token: CancelToken) -> Iterator[None]:
        """Hold memory for something else than images while in the context; waits as an image does.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            As `claim`.
        """
        size = min(size, self.size)
        with self._holding(size, token):
            self._lend(size)
            try:
                yield
            finally:
                self._lend(-size)

    @contextmanager
    def _holding(self, size: int, token: CancelToken) -> Iterator[None]:
        wanted = _Wanted(min(size, self.size))
        with self._changed:
            self._waiting.append(wanted)
            try:
                token.wait_for(
                    self._changed, lambda: wanted.size <= self._free and self._has_turn(wanted)
                )
                self._free -= wanted.size
            finally:
                self._waiting.remove(wanted)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted.size
                self._changed.notify_all()

    def _lend(self, size: int) -> None:
        with self._changed:
            self._lent += size
            self._changed.notify_all()

    def _has_turn(self, wanted: _Wanted) -> bool:
        """Tell whether nobody came before who can be served without what is lent."""
        there = self.size - self._lent
        before = takewhile(lambda one: one is not wanted, self._waiting)
        return all(one.size > there for one in before)
