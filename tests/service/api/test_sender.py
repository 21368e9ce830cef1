"""How long a sender may take."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.api import body
from service.api.body import Sender, SenderBounds
from tests.service.api.test_room import in_a_loop

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "QUOTA_S", 0.1)


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
    [(30, 100, 0.01, 0.0), (3, 100, 0.07, 0.0), (10, 1, 0.005, 0.05), (5, 10**6, 0.0, 0.15)],
    ids=["steady", "slow enough", "kept waiting by us", "kept waiting by us and fast"],
)
def test_who_keeps_the_rate_is_heard_to_its_end(
    count: int, size: int, every_s: float, pause_s: float
) -> None:
    @in_a_loop
    async def scenario() -> None:
        sender = Sender(SenderBounds(total_s=5, bytes_s=500))
        assert await sent(sender, pieces(count, size, every_s), pause_s) == count * size

    scenario()


@pytest.mark.parametrize(
    ("bounds", "count", "size", "every_s"),
    [
        (SenderBounds(total_s=5, bytes_s=500), 1, 1, 9),
        (SenderBounds(total_s=5, bytes_s=500), 1000, 1, 0.01),
        (SenderBounds(total_s=0.2, bytes_s=500), 1000, 100, 0.01),
        (SenderBounds(total_s=5, bytes_s=500, longest_s=0.2), 1000, 100, 0.01),
        # What came fast before is no credit.
        (SenderBounds(total_s=5, bytes_s=500), 2, 10**7, 3),
    ],
    ids=["silent", "a byte at a time", "too long", "too long in all", "after a rush"],
)
def test_who_does_not_is_not_waited_for(
    bounds: SenderBounds, count: int, size: int, every_s: float
) -> None:
    @in_a_loop
    async def scenario() -> None:
        async with asyncio.timeout(1):
            with pytest.raises(TimeoutError):
                await sent(Sender(bounds), pieces(count, size, every_s))

    scenario()


def test_each_instance_has_its_time_and_all_together_theirs() -> None:
    @in_a_loop
    async def scenario() -> None:
        sender = Sender(SenderBounds(total_s=0.1, bytes_s=0, longest_s=0.35))
        source = pieces(10, 1, 0.05)
        with pytest.raises(TimeoutError):
            for taken in range(10):
                assert taken < 7
                assert await sender.next(source) is not None
                sender.renew()
        assert taken >= 4

    scenario()
