"""Uploads take turns at the event loop, so that those who only ask do not wait for all of them.

Of each connection that sends, the loop takes 256 KiB a round: of fifty at once that makes a round
of 25 milliseconds, and a question about health takes five rounds. So only a few are read in each.
"""

import asyncio
from collections import deque

from starlette.types import Message, Receive

PIECES_A_ROUND = 2
"""Pieces of bodies taken in each round of the event loop: one or two milliseconds of work."""


class UploadThrottle:
    """Lets a few pass in each round of the event loop, first come, first served.

    An upload that has passed may wait for its bytes as long as it likes: a slow sender blocks
    nobody.

    Parameters
    ----------
    a_round
        How many.
    """

    def __init__(self, a_round: int = PIECES_A_ROUND) -> None:
        self._a_round = self._left = a_round
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._counting = False

    def before(self, receive: Receive) -> Receive:
        """Return a server's `receive` that takes its turn first."""

        async def receive_in_turn() -> Message:
            await self.turn()
            return await receive()

        return receive_in_turn

    async def turn(self) -> None:
        """Wait for a turn; where few want one, do not wait."""
        loop = asyncio.get_running_loop()
        if self._left and not self._waiting:
            self._left -= 1
            self._count(loop)
            return
        passed = loop.create_future()
        self._waiting.append(passed)
        self._count(loop)
        await passed

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._counting:
            self._counting = True
            loop.call_soon(self._next_round, loop)

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._counting, self._left = False, self._a_round
        while self._left and self._waiting:
            passed = self._waiting.popleft()
            if not passed.done():
                passed.set_result(None)
                self._left -= 1
        if self._waiting:
            self._count(loop)
