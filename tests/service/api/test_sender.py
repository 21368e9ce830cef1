"""How long a sender may take."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from service.api.body import Sender, SenderBounds

pytestmark = pytest.mark.unit


class Hours(asyncio.SelectorEventLoop):
    """An event loop on whose clock nothing takes time but waiting, and that at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        loop, select = self, self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            loop.now += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now


def in_a_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=Hours) as runner:
            runner.run(scenario())

    return run


async def pieces(count: int, size: int, every_s: float) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(every_s)
        yield bytes(size)


async def sent(sender: Sender, source: AsyncIterator[bytes], pause_s: float = 0.0) -> int:
    size = 0
    while (piece := await sender.next(source)) is not None:
        size += len(piece)
        await asyncio.sleep(pause_s)
    return size


@pytest.mark.parametrize(
    ("count", "size", "every_s", "pause_s"),
    [(30, 1000, 1, 0), (6, 5000, 9, 0), (9, 1, 1, 30), (5, 10**6, 0, 15)],
    ids=["steady", "slow enough", "kept waiting by us", "kept waiting by us and fast"],
)
def test_who_keeps_the_rate_is_heard_to_its_end(
    count: int, size: int, every_s: float, pause_s: float
) -> None:
    @in_a_loop
    async def scenario() -> None:
        sender = Sender(SenderBounds(total_s=60, bytes_s=500))
        assert await sent(sender, pieces(count, size, every_s), pause_s) == count * size

    scenario()


@pytest.mark.parametrize(
    ("bounds", "count", "size", "every_s"),
    [
        (SenderBounds(total_s=60, bytes_s=500), 1, 1, 11),
        (SenderBounds(total_s=60, bytes_s=500), 1000, 1, 1),
        (SenderBounds(total_s=60, bytes_s=500), 1000, 1000, 1),
        (SenderBounds(total_s=60, bytes_s=500, longest_s=20), 1000, 1000, 1),
        # What came fast before is no credit.
        (SenderBounds(total_s=60, bytes_s=500), 3, 10**7, 11),
    ],
    ids=["silent", "a byte at a time", "too long", "too long in all", "after a rush"],
)
def test_who_does_not_is_not_waited_for(
    bounds: SenderBounds, count: int, size: int, every_s: float
) -> None:
    @in_a_loop
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await sent(Sender(bounds), pieces(count, size, every_s))
        assert asyncio.get_running_loop().time() <= 60

    scenario()


def test_each_instance_has_its_time_and_all_together_theirs() -> None:
    @in_a_loop
    async def scenario() -> None:
        sender = Sender(SenderBounds(total_s=60, bytes_s=500, longest_s=100))
        source = pieces(100, 10**4, 8)
        with pytest.raises(TimeoutError):
            for taken in range(100):  # noqa: B007
                assert await sender.next(source) is not None
                sender.renew()
        assert taken == 12

    scenario()
