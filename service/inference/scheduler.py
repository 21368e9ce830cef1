"""Tiles of many requests -> runs of the net.

The unit of work is a tile, and callers take turns. On a CPU one runner a core takes one tile at a
time; a lone tile, with nothing else to run, gets a session of several threads where that pays. On
a GPU a single owner takes what waits, up to the largest of a few fixed batch sizes, and waits a
moment for more where more is about to come. No shape is ever new to a GPU; a CPU does not mind.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
import structlog

from service.errors import DeviceFailed, Overloaded
from service.imaging.tiles import Tile
from service.inference.batching import BATCH_SIZES, ArrivalPace
from service.inference.faults import fault_of
from service.inference.golden import still_works
from service.inference.levels import put
from service.inference.net import Served, TileAnswer
from service.inference.session import Session
from service.inference.turns import Errand, Turn, Turns
from service.inference.warmup import warm, wide_pays
from service.patience import Patience

log = structlog.get_logger("mammoseg")


class TileScheduler:
    """Owns the sessions: nobody else runs them.

    Parameters
    ----------
    session
        An open model; every shape is run once here and the golden tile proven, so construction
        takes a moment.
    runners
        Threads that run the net; 1 on a GPU.
    wide
        The same model with several threads, for a tile that is alone; kept where it pays.

    Raises
    ------
    DeviceError
        The golden tile does not reproduce, or the device fails.
    """

    def __init__(self, session: Session, *, runners: int = 1, wide: Session | None = None) -> None:
        self.session = session
        self._sizes = BATCH_SIZES[session.device]
        self._turns, self._pace = Turns(), ArrivalPace()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._running = 0
        self._closed = self._failed = False
        self._net_seconds = 0.0
        self._wide: Session | None = None
        self._runners: list[threading.Thread] = []
        # On the thread that serves: what CUDA lays out and captures belongs to the thread.
        warmed: Future[None] = Future()
        self._start(self._warm_and_serve, warmed)
        warmed.result()
        try:
            self._wide = self._if_it_pays(wide)
        except BaseException:
            self.close()
            raise
        for _ in range(1, runners):
            self._start(self._serve)

    @property
    def served(self) -> Served:
        """The model, proven on the device."""
        session = self.session
        return Served(
            contract=session.contract,
            sha256=session.sha256,
            device=session.device,
            setup=session.setup.name,
            whole_pixels=session.whole_pixels,
        )

    @property
    def waiting(self) -> int:
        """Tiles that no runner has taken yet."""
        return self._turns.waiting

    @property
    def failed(self) -> bool:
        """The device failed for good: nothing will be answered any more."""
        return self._failed

    @property
    def net_seconds(self) -> float:
        """CPU time of the runners inside the net since the start, in seconds."""
        return self._net_seconds

    def run(self, tiles: Sequence[Tile], patience: Patience) -> list[TileAnswer]:
        """Run the tiles of one image and wait for all answers, in the same order.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            Nobody waits any more; tiles not yet begun are dropped.
        Overloaded
            The scheduler is closed, or the device had no memory left.
        DeviceFailed
            The device failed for good, now or before.
        """
        if not tiles:
            return []
        errand = Errand([tile.pixels for tile in tiles], threading.Condition(self._lock))
        with self._lock:
            if self._closed:
                raise Overloaded("draining", "The service is shutting down.")
            if self._failed:
                raise DeviceFailed
            self._turns.add(errand)
            self._pace.arrived(len(tiles), time.monotonic())
            self._work.notify(len(tiles))
            try:
                patience.wait_for(errand.settled, lambda: errand.done)
            finally:
                self._turns.drop(errand)
        if errand.fault is not None:
            raise errand.fault
        return [errand.answers[index] for index in range(len(tiles))]

    def close(self) -> None:
        """Answer what waits, then stop the runners."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
        for runner in self._runners:
            runner.join()

    def _start(self, target: Callable[..., None], *given: object) -> None:
        name = f"tile-runner-{len(self._runners)}"
        self._runners.append(threading.Thread(target=target, args=given, name=name, daemon=True))
        self._runners[-1].start()

    def _warm_and_serve(self, warmed: "Future[None]") -> None:
        try:
            warm(self.session, self._sizes)
        except BaseException as error:
            warmed.set_exception(error)
            return
        warmed.set_result(None)
        self._serve()

    def _if_it_pays(self, wide: Session | None) -> Session | None:
        if wide is None:
            return None
        warm(wide, self._sizes)
        return wide if wide_pays(self.session, wide) else None

    def _serve(self) -> None:
        while (turns := self._next()) is not None:
            self._answer(*turns)

    def _next(self) -> tuple[Session, list[Turn]] | None:
        """Wait for work and take it; None when there is none and never will be."""
        largest = self._sizes[-1]
        with self._lock:
            while not self._turns.waiting:
                if self._closed:
                    return None
                self._work.wait()
            if largest > 1:
                self._gather(largest)
            alone = self._running == 0 and self._turns.waiting == 1
            self._running += 1
            session = self._wide if alone and self._wide is not None else self.session
            return session, self._turns.take(largest)

    def _gather(self, largest: int) -> None:
        """Wait a moment for a fuller batch, where one is likely; the lock is held."""
        ends = time.monotonic() + self._pace.patience_s(self._turns.waiting, largest)
        while self._turns.waiting < largest and not self._closed:
            left = ends - time.monotonic()
            if left <= 0 or not self._work.wait(left):
                return

    def _answer(self, session: Session, turns: list[Turn]) -> None:
        started = time.thread_time()
        try:
            answers = self._run(session, turns)
        except Exception as error:
            self._settle(started, turns, self._verdict(session, error))
        else:
            self._settle(started, turns, answers)

    def _run(self, session: Session, turns: list[Turn]) -> list[TileAnswer]:
        pixels = [errand.tiles[index] for errand, index in turns]
        if len(pixels) == 1:
            tiles = pixels[0][np.newaxis, np.newaxis]
        else:
            batch = next(size for size in self._sizes if size >= len(pixels))
            tiles = session.room((batch, 1, *pixels[0].shape))
            for place, tile in zip(tiles[:, 0], pixels, strict=False):
                put(tile, place, session.contract.input)
            tiles[len(pixels) :] = 0
        outputs = session.run(tiles)
        return [
            TileAnswer(outputs.probability[index], float(outputs.has_mask[index]))
            for index in range(len(turns))
        ]

    def _verdict(self, session: Session, error: Exception) -> Exception:
        """Give what the callers of a failed run are told."""
        if session.device == "cpu":
            return error
        fault = fault_of(error)
        log.error("device-fault", fault=fault, error=type(error).__name__)
        if fault == "memory":
            return Overloaded("device-memory", "The device has no memory left; try again later.")
        if fault == "unknown" and still_works(session):
            return error
        self._fail()
        return DeviceFailed()

    def _fail(self) -> None:
        """Latch: whoever waits is told, and nobody is taken any more."""
        with self._lock:
            self._failed = True
            for errand in self._turns.drop_all():
                errand.fault = DeviceFailed()
                errand.settled.notify_all()

    def _settle(
        self, started: float, turns: list[Turn], answers: list[TileAnswer] | Exception
    ) -> None:
        with self._lock:
            self._running -= 1
            self._net_seconds += time.thread_time() - started
            for position, (errand, index) in enumerate(turns):
                if isinstance(answers, Exception):
                    errand.fault = answers
                else:
                    errand.answers[index] = answers[position]
                if errand.done:
                    errand.settled.notify_all()
