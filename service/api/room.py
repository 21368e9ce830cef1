"""Memory that is claimed before it is used: first come, first served."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import Overloaded
from service.patience import Patience


def _in_a_second() -> float:
    return 1.0


class BodyRoom:
    """Bytes for bodies; for the event loop's thread alone.

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
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def claim(self, size: int, timeout_s: float) -> int:
        """Wait for so much room, take it, and give what was taken: at most all there is.

        Raises
        ------
        Overloaded
            No room came free in time.
        """
        size = min(size, self._size)
        if not self._waiting and size <= self._free:
            self._free -= size
            return size
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            async with asyncio.timeout(timeout_s):
                await granted
        except (TimeoutError, asyncio.CancelledError) as error:
            self.give_back(0 if granted.cancelled() else size)
            if isinstance(error, TimeoutError):
                raise self._none() from None
            raise
        return size

    def claim_now(self, size: int) -> int:
        """Take so much room without waiting, for one that holds some already.

        Raises
        ------
        Overloaded
            There is none: who waits with room in hand may wait for another that does.
        """
        if size > self._free:
            raise self._none()
        self._free -= size
        return size

    def give_back(self, size: int) -> None:
        """Let go of room that was taken, to those who wait for it."""
        self._free += size
        while self._waiting:
            wanted, granted = self._waiting[0]
            if granted.cancelled():
                self._waiting.popleft()
                continue
            if wanted > self._free:
                return
            self._waiting.popleft()
            self._free -= wanted
            granted.set_result(None)

    def _none(self) -> Overloaded:
        detail = "There is no memory for the image now; try again later."
        return Overloaded("busy", detail, self._retry_after_s())


class PixelRoom:
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
    def claim(self, size: int, patience: Patience) -> Iterator[None]:
        """Wait for so much room and hold it while in the context.

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
                patience.wait_for(
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
