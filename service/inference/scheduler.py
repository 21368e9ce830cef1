"""Tiles of many requests -> runs of the net.

The unit of work is a tile, and callers take turns. On a CPU one runner a core takes one tile at a
time; a lone tile, with nothing else to run, gets a session of several threads where that pays. On
a GPU a single owner takes what waits, up to the largest of a few fixed batch sizes, and waits a
moment for more where more is about to come. No shape is ever new to a GPU; a CPU does not mind.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import structlog

from service.cancellation import CancelToken
from service.errors import DeviceFailed, Overloaded
from service.imaging.tiles import Tile
from service.inference.batching import BATCH_SIZES, ArrivalRate
from service.inference.fair_queue import FairQueue, QueuedTile, TileJob
from service.inference.faults import fault_of
from service.inference.golden import still_works
from service.inference.levels import quantize_into
from service.inference.net import ModelInfo, RunListener, TilePrediction
from service.inference.session import Session
from service.inference.warmup import warm, wide_pays

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
        self._queue, self._rate = FairQueue(), ArrivalRate()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._running, self._most_running = 0, runners
        self._resting = 0
        self._closed = self._failed = False
        self._net_seconds = 0.0
        self._listener: RunListener = lambda waited_s, seconds: None
        self._wide: Session | None = None
        self._runners: list[threading.Thread] = []
        if wide is not None:
            # First, since it runs the widest breast, of which what follows finds the memory there.
            warm(wide, self._sizes)
        # On the thread that serves: what CUDA lays out and captures belongs to the thread.
        warmed: Future[None] = Future()
        self._start(self._warm_and_serve, warmed, wide is None)
        warmed.result()
        try:
            if wide is not None and wide_pays(session, wide):
                self._wide = wide
        except BaseException:
            self.close()
            raise
        for _ in range(1, runners):
            self._start(self._serve)

    @property
    def model_info(self) -> ModelInfo:
        """The model, proven on the device."""
        return self.session.model_info

    @property
    def waiting(self) -> int:
        """How many tiles no runner has taken yet."""
        return self._queue.waiting

    @property
    def failed(self) -> bool:
        """Whether the device failed for good: then nothing is answered any more."""
        return self._failed

    @property
    def net_seconds(self) -> float:
        """CPU time of the runners inside the net since the start, in seconds."""
        return self._net_seconds

    def listen(self, listener: RunListener) -> None:
        """Tell somebody of each run from now on, on the thread that ran it."""
        self._listener = listener

    def run(self, tiles: Sequence[Tile], token: CancelToken) -> list[TilePrediction]:
        """Run the tiles of one image and wait for all answers, in the same order.

        Raises
        ------
        CallerLeft, DeadlineExceeded
            The caller left, or its deadline passed; tiles that have not begun are dropped.
        Overloaded
            The scheduler is closed, or the device had no memory left.
        DeviceFailed
            The device failed for good, now or before.
        """
        if not tiles:
            return []
        job = TileJob([tile.pixels for tile in tiles], threading.Condition(self._lock))
        with self._lock:
            if self._closed:
                raise Overloaded("draining", "The service is shutting down.")
            if self._failed:
                raise DeviceFailed
            self._queue.add(job)
            self._rate.arrived(len(tiles), time.monotonic())
            self._work.notify(len(tiles))
            try:
                token.wait_for(job.settled, lambda: job.done)
            finally:
                self._queue.drop(job)
        if job.fault is not None:
            raise job.fault
        return [job.predictions[index] for index in range(len(tiles))]

    @contextmanager
    def one_runner_less(self) -> Iterator[None]:
        """Run one tile less at once while in the context: another net runs one in its place.

        So what nets take in their runs stays what it was. A lone runner rests meanwhile.
        """
        with self._lock:
            self._resting += 1
            self._work.wait_for(lambda: self._running <= self._most_running - self._resting)
        try:
            yield
        finally:
            with self._lock:
                self._resting -= 1
                self._work.notify_all()

    def close(self) -> None:
        """Answer what waits, then stop the runners."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
        for runner in self._runners:
            runner.join()
        for session in filter(None, (self.session, self._wide)):
            session.close()

    def _start(self, target: Callable[..., None], *given: object) -> None:
        name = f"tile-runner-{len(self._runners)}"
        self._runners.append(threading.Thread(target=target, args=given, name=name, daemon=True))
        self._runners[-1].start()

    def _warm_and_serve(self, warmed: "Future[None]", widest: bool) -> None:
        try:
            warm(self.session, self._sizes, widest=widest)
        except BaseException as error:
            warmed.set_exception(error)
            return
        warmed.set_result(None)
        self._serve()

    def _serve(self) -> None:
        while (queued := self._next()) is not None:
            self._answer(*queued)

    def _next(self) -> tuple[Session, list[QueuedTile]] | None:
        """Wait for work and take it; None when there is none and never will be."""
        largest = self._sizes[-1]
        with self._lock:
            while not self._queue.waiting or (self._running >= self._most_running - self._resting):
                if self._closed and not self._queue.waiting:
                    return None
                self._work.wait()
            if largest > 1:
                self._gather(largest)
            alone = self._running == 0 and self._queue.waiting == 1
            self._running += 1
            session = self._wide if alone and self._wide is not None else self.session
            return session, self._queue.take(largest)

    def _gather(self, largest: int) -> None:
        """Wait a moment for a fuller batch, where one is likely; the lock is held."""
        ends = time.monotonic() + self._rate.delay_s(self._queue.waiting, largest)
        while self._queue.waiting < largest and not self._closed:
            left = ends - time.monotonic()
            if left <= 0 or not self._work.wait(left):
                return

    def _answer(self, session: Session, queued: list[QueuedTile]) -> None:
        started, began = time.thread_time(), time.monotonic()
        try:
            predictions = self._run(session, queued)
        except Exception as error:
            self._settle(started, queued, self._verdict(session, error))
        else:
            took_s = time.monotonic() - began
            self._settle(started, queued, predictions)
            # Once the callers have their answers.
            self._listener([began - job.since for job, _ in queued], took_s)

    def _run(self, session: Session, queued: list[QueuedTile]) -> list[TilePrediction]:
        pixels = [job.tiles[index] for job, index in queued]
        if len(pixels) == 1:
            tiles = pixels[0][np.newaxis, np.newaxis]
        else:
            batch = next(size for size in self._sizes if size >= len(pixels))
            tiles = session.input_buffer((batch, 1, *pixels[0].shape))
            for out, tile in zip(tiles[:, 0], pixels, strict=False):
                quantize_into(tile, out, session.contract.input)
            tiles[len(pixels) :] = 0
        outputs = session.run(tiles)
        return [outputs.prediction(index) for index in range(len(queued))]

    def _verdict(self, session: Session, error: Exception) -> Exception:
        """Return what the callers of a failed run are told."""
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
        """Fail for good: everybody who waits is told, and no further caller is accepted."""
        with self._lock:
            self._failed = True
            for job in self._queue.drop_all():
                job.fault = DeviceFailed()
                job.settled.notify_all()

    def _settle(
        self,
        started: float,
        queued: list[QueuedTile],
        predictions: list[TilePrediction] | Exception,
    ) -> None:
        with self._lock:
            self._running -= 1
            if self._resting:
                # One that waited may go on; or who asked for a runner less has it.
                self._work.notify_all()
            self._net_seconds += time.thread_time() - started
            for position, (job, index) in enumerate(queued):
                if isinstance(predictions, Exception):
                    job.fault = predictions
                else:
                    job.predictions[index] = predictions[position]
                if job.done:
                    job.settled.notify_all()
