"""A bench to work at, and what the database says."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from service.cancellation import CancelToken
from service.errors import Overloaded
from service.inbox.inbox import Inbox

Receive = Callable[..., object]
WAIT_S = 60.0


class Bench:
    """As `RequestLimiter`: slots, and threads; may be full."""

    def __init__(self) -> None:
        self.full = self.leaving = False
        self.most = self.now = 0

    @contextmanager
    def slot(self) -> Iterator["Bench"]:
        if self.full:
            raise Overloaded("busy", "full")
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield self
        finally:
            self.now -= 1

    async def claim(self, size: int) -> None:
        assert size > 0

    def new_token(self) -> CancelToken:
        return CancelToken(WAIT_S)

    def pixels(self, count: int, token: CancelToken) -> AbstractContextManager[None]:
        assert token.remaining_s > 0
        return nullcontext()

    def work(self, task: Callable[[], Any]) -> Awaitable[Any]:
        return asyncio.to_thread(task)


def states(inbox: Inbox) -> list[tuple[str, str | None]]:
    return [(entry.state, entry.code) for entry in reversed(inbox.instances.entries(None, 99))]


def all_are(inbox: Inbox, state: str) -> Callable[[], bool]:
    return lambda: {name for name, _ in states(inbox)} == {state}
