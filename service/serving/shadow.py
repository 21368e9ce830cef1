"""A model in the shadow of the default one: it judges some of the same images, and answers nobody.

One image at a time, after the answer went out, and only while no other image is in work. What
cannot be judged so is dropped and counted: no answer ever waits for it.
"""

import queue
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from service.cancellation import CancelToken
from service.capacity.plan import BYTES_PER_PIXEL, SHADOW_PIXELS_MIB
from service.errors import DeadlineExceeded, MammosegError
from service.findings import Findings
from service.imaging.mammogram import Mammogram
from service.logs import where
from service.metrics import Metrics, Source
from service.segmenter import Segmenter, SegmentOptions
from service.serving.served_model import ServedModel
from service.serving.yielding_net import YieldingNet, wait_until
from service.stopwatch import Stopwatch
from service.telemetry.inference_line import Pseudonyms
from service.telemetry.inference_log import InferenceLog
from service.telemetry.shadow_line import Answer, ShadowLine

log = structlog.get_logger("mammoseg")

PATIENCE_S = 30.0
"""How long an image waits for a moment in which nobody else is at work."""

MAX_PIXELS = (SHADOW_PIXELS_MIB << 20) // BYTES_PER_PIXEL

_ODDS = 10**6

AfterAnswer = Callable[[], None]
"""To be called once an answer is out, whatever became of it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    mammogram: Mammogram
    answer: Answer
    names: tuple[str | None, str | None]


class Shadow:
    """Judges a share of the images that the default model answered; owns a thread.

    Parameters
    ----------
    model
        The one in the shadow.
    answering
        The one whose answers it is compared with.
    share
        Of the images, in [0, 1]; chosen by chance.
    is_idle
        Tells whether no image is in work.
    metrics
        Where it is counted.
    pseudonyms, inference_log
        For a line an image, where lines go anywhere.
    """

    def __init__(
        self,
        model: ServedModel,
        answering: ServedModel,
        share: float,
        *,
        is_idle: Callable[[], bool],
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        inference_log: InferenceLog | None = None,
    ) -> None:
        self.model, self._answering, self._share = model, answering, share
        self._is_idle, self._metrics = is_idle, metrics
        self._pseudonyms, self._log = pseudonyms, inference_log
        self._free = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = CancelToken()
        self._token = self._closing
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def offer(
        self, findings: Findings, body: bytes | memoryview, source: Source
    ) -> AfterAnswer | None:
        """Choose whether an image is judged here, too; takes no time.

        Returns
        -------
        What is to be called once the answer is out; None where the image is not judged here.
        """
        if findings.model.id != self._answering.id or not self._is_chosen():
            return None
        mammogram = findings.mammogram
        if reason := self._unfit(mammogram):
            self._drop(reason)
            return None
        if not self._free.acquire(blocking=False):
            self._drop("busy")
            return None
        names: tuple[str | None, str | None] = (None, None)
        if self._log is not None:
            names = (
                self._pseudonyms.study(mammogram.header),
                self._pseudonyms.image(mammogram.sop_instance_uid, body),
            )
        job = _Job(mammogram, Answer.of(findings, source), names)
        return partial(self._jobs.put, job)

    def close(self) -> None:
        """Give up what is in work, and end the thread."""
        self._closing.cancel()
        self._token.cancel()
        self._jobs.put(None)
        self._thread.join()

    def _is_chosen(self) -> bool:
        return secrets.randbelow(_ODDS) < self._share * _ODDS

    def _unfit(self, mammogram: Mammogram) -> str | None:
        """Return why the image as it was read for the answer is none for the shadow."""
        if mammogram.rows * mammogram.columns > MAX_PIXELS:
            return "size"
        ours, theirs = self.model.segmenter.contract, self._answering.segmenter.contract
        # It may have been read at half its resolution, which suffices for the answer's net.
        if ours.spacing.working_mm < theirs.spacing.working_mm and mammogram.halved:
            return "resolution"
        return None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._judge(job)
            except DeadlineExceeded:
                self._drop("busy")
            except MammosegError as error:
                self._drop("refused" if error.status < 499 else "failed")
            except Exception as error:
                log.error("shadow-failed", error=type(error).__name__, at=where(error))
                self._drop("failed")
            finally:
                del job
                self._free.release()

    def _judge(self, job: _Job) -> None:
        token = self._token = CancelToken(PATIENCE_S)
        self._closing.raise_if_cancelled()
        wait_until(self._is_idle, token)
        with self.model.version() as observed:
            real = observed.segmenter
            shadow = Segmenter(YieldingNet(real.net, self._is_idle), real.reader)
            found = shadow.segment_mammogram(
                job.mammogram, SegmentOptions(gate=False), Stopwatch(), token
            )
        self._metrics.observe_shadow(
            job.answer.score, job.answer.decision, found.has_mask.score, found.has_mask.decision
        )
        if self._log is not None:
            self._log.write(ShadowLine.of(found, job.answer, job.names))

    def _drop(self, reason: str) -> None:
        self._metrics.shadow_dropped.labels(reason).inc()
