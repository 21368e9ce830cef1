"""Both ends of the wire, with a net between them that does as it is told."""

import math
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from service.errors import CallerLeft, DeadlineExceeded, DeviceFailed, Overloaded
from service.imaging.tiles import Tile
from service.inference.net import Served, TileAnswer
from service.ingest.owner import Owner
from service.ingest.remote import RemoteNet, RunFailed
from service.ingest.wire import Caller, Channel, End
from service.patience import Patience
from tests.identity_net import identity_contract

pytestmark = pytest.mark.unit

SERVED = Served(identity_contract(), "0" * 64, "cpu", "cpu", 0)


@dataclass
class ToldNet:
    """Inverts tiles; or fails, or lets them wait, as the test says."""

    served: Served = SERVED
    waiting: int = 7
    net_seconds: float = 1.5
    failed: bool = False
    stubborn: bool = False
    error: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self, tiles: Sequence[Tile], patience: Patience) -> list[TileAnswer]:
        self.begun.release()
        while not self.gate.wait(0.01):
            try:
                patience.check()
            except CallerLeft:
                self.left.set()
                if not self.stubborn:
                    raise
        if self.error is not None:
            raise self.error
        return [TileAnswer(1 - tile.pixels, float(tile.pixels.mean())) for tile in tiles]

    def close(self) -> None:
        pass


@dataclass
class Pair:
    net: ToldNet
    remote: RemoteNet
    theirs: Channel
    told: list[object]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    net = ToldNet()
    owner, channel = Owner(net, 4), Channel(theirs)
    serving = threading.Thread(target=owner.serve, args=(channel,))
    serving.start()
    remote, told = RemoteNet(Channel(ours), SERVED), []
    listening = threading.Thread(target=remote.listen, args=(told.append,))
    listening.start()
    yield Pair(net, remote, channel, told)
    net.gate.set()
    remote.close()
    listening.join()
    serving.join()
    channel.close()
    owner.close()


def tiles_of(*values: float, shape: tuple[int, int] = (64, 32)) -> list[Tile]:
    return [Tile(0, 0, np.full(shape, value, np.float32)) for value in values]


def test_answers_come_as_from_a_net_at_hand(pair: Pair) -> None:
    pair.net.gate.set()
    tiles = tiles_of(0.25, 0.5) + tiles_of(0.75, shape=(96, 96))
    for _ in range(3):
        answers = pair.remote.run(tiles, Patience())
        for tile, answer in zip(tiles, answers, strict=True):
            np.testing.assert_array_equal(answer.probability, 1 - tile.pixels)
            assert answer.has_mask_logit == tile.pixels[0, 0]
    assert pair.remote.run([], Patience()) == []
    assert (pair.remote.waiting, pair.remote.net_seconds) == (7, 1.5)
    assert not pair.remote.failed


def test_memory_is_lent_again_when_nobody_sees_its_maps_any_more(pair: Pair) -> None:
    pair.net.gate.set()
    first = pair.remote.run(tiles_of(0.25), Patience())
    second = pair.remote.run(tiles_of(0.75), Patience())
    assert float(first[0].probability[0, 0]) == 0.75, "not overwritten"
    assert pair.remote._slabs.idle_bytes == 0
    del first, second
    assert pair.remote._slabs.idle_bytes > 0


def test_callers_at_once_each_get_their_own(pair: Pair) -> None:
    pair.net.gate.set()
    seen: dict[int, float] = {}

    def call(number: int) -> None:
        (answer,) = pair.remote.run(tiles_of(number / 64), Patience())
        seen[number] = answer.has_mask_logit

    callers = [threading.Thread(target=call, args=(number,)) for number in range(32)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert seen == {number: number / 64 for number in range(32)}


def test_a_caller_that_leaves_is_not_worked_for_there_either(pair: Pair) -> None:
    patience, caught = Patience(), []

    def call() -> None:
        with pytest.raises(CallerLeft) as error:
            pair.remote.run(tiles_of(0.5), patience)
        caught.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    pair.net.begun.acquire()
    patience.leave()
    caller.join()
    assert caught and pair.net.left.wait(10)


def test_its_memory_is_nobody_elses_while_the_owner_may_write_to_it(pair: Pair) -> None:
    pair.net.stubborn = True
    with pytest.raises(DeadlineExceeded):
        pair.remote.run(tiles_of(0.5), Patience(0))
    (errand,) = pair.remote._errands.values()
    assert errand.slab is not None
    assert pair.remote._slabs.idle_bytes == 0
    pair.net.gate.set()
    (answer,) = pair.remote.run(tiles_of(0.25), Patience())
    assert float(answer.probability[0, 0]) == 0.75


@pytest.mark.parametrize(
    "error",
    [Overloaded("device-memory", "No memory.", 3.0), DeviceFailed(), ZeroDivisionError("x")],
)
def test_errors_come_through_ours_as_they_are_others_without_their_text(
    pair: Pair, error: Exception
) -> None:
    pair.net.gate.set()
    pair.net.error = error
    ours = isinstance(error, Overloaded)
    with pytest.raises(type(error) if ours else RunFailed) as caught:
        pair.remote.run(tiles_of(0.5), Patience())
    assert str(caught.value) == (str(error) if ours else "")
    assert pair.remote.failed == isinstance(error, DeviceFailed)
    if isinstance(error, DeviceFailed):
        with pytest.raises(DeviceFailed):
            pair.remote.run(tiles_of(0.5), Patience())


def test_an_owner_that_is_gone_is_a_device_that_failed(pair: Pair) -> None:
    caught = []

    def call() -> None:
        with pytest.raises(DeviceFailed) as error:
            pair.remote.run(tiles_of(0.5), Patience())
        caught.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    pair.net.begun.acquire()
    pair.theirs.close()
    caller.join()
    assert caught and pair.remote.failed
    assert (pair.remote.waiting, pair.remote.net_seconds) == (0, 0.0)


def test_what_a_process_that_is_gone_waited_for_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    net = ToldNet()
    owner = Owner(net, 1)
    channel = Channel(theirs)
    serving = threading.Thread(target=owner.serve, args=(channel,))
    serving.start()
    remote = RemoteNet(Channel(ours), SERVED)
    listening = threading.Thread(target=remote.listen, args=(print,))
    listening.start()
    callers = [threading.Thread(target=_refused, args=(remote,)) for _ in range(3)]
    for caller in callers:
        caller.start()
    net.begun.acquire()
    remote._channel.close()
    assert net.left.wait(10)
    listening.join()
    serving.join()
    channel.close()
    owner.close()
    for caller in callers:
        caller.join()
    # Those that waited for a thread were never begun.
    assert not net.begun.acquire(blocking=False)


def _refused(remote: RemoteNet) -> None:
    with pytest.raises(DeviceFailed):
        remote.run(tiles_of(0.5), Patience(math.inf))


def test_what_is_not_about_the_net_is_passed_on(pair: Pair) -> None:
    pair.theirs.send(Caller())
    pair.theirs.send(End("leave"))
    pair.net.gate.set()
    pair.remote.run(tiles_of(0.5), Patience())
    assert pair.told == [Caller(), End("leave")]
    assert not pair.remote.failed


def test_to_take_leave_is_no_failure(pair: Pair) -> None:
    pair.remote.close()
    assert not pair.remote.failed
