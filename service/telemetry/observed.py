"""The segmenter as requests and the inbox use it: what it does is counted, logged and traced."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from service.cancellation import CancelToken
from service.errors import MammosegError
from service.findings import Findings
from service.imaging.reader import ImageKind
from service.metrics import ImageFacts, Metrics, Outcome, Source
from service.segmenter import Segmenter, SegmentOptions
from service.stopwatch import Stopwatch
from service.telemetry.equipment import Equipment, bits_stored
from service.telemetry.inference_line import LineWriter
from service.telemetry.inference_log import InferenceLog
from service.telemetry.tracing import NO_TRACE, Trace

OTHER = "other"

WARNINGS = frozenset(
    (
        *("background-bright", "bits-guessed", "breast-not-found", "breast-saturated"),
        "burned-in-annotation",
        *("frame-of-several", "implant", "modality-lut-ignored", "orientation-applied"),
        *("partial-view", "pixel-aspect-ignored", "polarity-guessed"),
        "presentation-lut-shape-ignored",
        *(
            "rescale-ignored",
            "several-breasts",
            "spacing-assumed",
            "spacing-ignored",
            "spacing-overridden",
            "spacing-uncalibrated",
        ),
        *("special-view", "threshold-uncalibrated", "uid-ignored", "unproven"),
        *("voi-first-of-several", "voi-lut-ignored", "voi-lut-scaled", "window-ignored"),
    )
)
"""Codes that are labels of metrics. A reader in a stranger's hands may make up others."""

SPANS = {"read": "decode"}
"""What spans are called where a stage has another name."""

STAGES = ("read", "wait", "breast", "tiles", "net", "regions", "picture")
"""Of the segmenter, in order: the one after the last that ended is the one that failed."""


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """Return what an image that was not judged is counted as, and why."""
    if isinstance(error, asyncio.CancelledError):
        return "left", "client-left"
    if not isinstance(error, MammosegError):
        return "failed", "internal"
    if error.status == 499:
        return "left", error.code
    return "refused" if error.status < 500 else "failed", error.code


class Observed(Protocol):
    """What judges images for callers, watched: one segmenter, or a model whose file may change."""

    @property
    def segmenter(self) -> Segmenter:
        """The one of the moment: for what is asked of it, not for what takes time."""

    @property
    def metrics(self) -> Metrics:
        """Where it is counted."""

    def version(self) -> AbstractContextManager["ObservedSegmenter"]:
        """Hold the one of the moment, to judge with: it stays open while in the context."""

    def stage(self, name: str, trace: Trace) -> AbstractContextManager[None]:
        """Count and trace what is done in the context."""


@dataclass(frozen=True, slots=True)
class ObservedSegmenter:
    """A segmenter that is watched.

    Attributes
    ----------
    segmenter
        Finds the lesions.
    metrics
        Where it is counted.
    equipment
        Which mammography units are counted apart.
    lines
        Makes the lines of the inference log.
    inference_log
        Where they go; None for nowhere.
    """

    segmenter: Segmenter
    metrics: Metrics
    equipment: Equipment = field(default_factory=Equipment)
    lines: LineWriter | None = None
    inference_log: InferenceLog | None = None

    def version(self) -> AbstractContextManager["ObservedSegmenter"]:
        """Return a context with itself, which whoever made it keeps open."""
        return nullcontext(self)

    def segment(
        self,
        body: bytes | memoryview,
        kind: ImageKind | None,
        options: SegmentOptions,
        *,
        source: Source,
        token: CancelToken,
        reserve_pixels: Callable[[int], None] = lambda _: None,
        trace: Trace = NO_TRACE,
    ) -> Findings:
        """Take one file and say where the lesions are; as `Segmenter.segment`.

        Parameters
        ----------
        source
            Who wants to know.
        trace
            That its stages belong to.
        """
        stopwatch, failure = Stopwatch(), None
        try:
            findings = self.segmenter.segment(
                body, kind, options, reserve_pixels=reserve_pixels, token=token, stopwatch=stopwatch
            )
        except BaseException as error:
            outcome, failure = outcome_of(error)
            self.metrics.observe_failure(source, outcome, failure)
            self.metrics.model_images.labels(self.segmenter.model.id, outcome).inc()
            raise
        finally:
            _trace_stages(trace, stopwatch, failure)
        self.metrics.observe_image(source, self._facts(findings))
        outcome = "lesion" if findings.has_mask.decision else "no_lesion"
        self.metrics.model_images.labels(findings.model.id, outcome).inc()
        if self.inference_log is not None and self.lines is not None:
            self.inference_log.write(self.lines.line(findings, body, kind, options, source))
        return findings

    @contextmanager
    def stage(self, name: str, trace: Trace) -> Iterator[None]:
        """Count and trace what is done in the context: a stage outside of the segmenter."""
        begin, failure = time.perf_counter(), None
        try:
            yield
        except BaseException as error:
            _, failure = outcome_of(error)
            raise
        finally:
            end = time.perf_counter()
            self.metrics.stage_seconds.labels(name).observe(end - begin)
            trace.span(name, begin, end, failure=failure)

    def _facts(self, findings: Findings) -> ImageFacts:
        mammogram, spacing = findings.mammogram, findings.mammogram.pixel_spacing_mm
        manufacturer, model = self.equipment.unit(mammogram.header)
        drawn = () if findings.gated else [each for each in findings.regions if each.selected]
        area = sum(region.area_pixels for region in drawn)
        return ImageFacts(
            manufacturer=manufacturer,
            model=model,
            score=findings.has_mask.score,
            decision=findings.has_mask.decision,
            area_mm2=None if spacing is None else area * spacing[0] * spacing[1],
            bits_stored=bits_stored(mammogram.header),
            pixel_spacing_mm=None if spacing is None else spacing[0],
            tiles=len(findings.has_mask.tile_scores),
            warnings=tuple(
                caveat.code if caveat.code in WARNINGS else OTHER for caveat in findings.caveats
            ),
            timing_ms=findings.timing_ms,
        )


def _trace_stages(trace: Trace, stopwatch: Stopwatch, failure: str | None) -> None:
    ended = list(stopwatch.spans())
    for stage, begin, end in ended:
        trace.span(SPANS.get(stage, stage), begin, end)
    if failure is not None:
        failed = STAGES[min(len(ended), len(STAGES) - 1)]
        trace.span(SPANS.get(failed, failed), *stopwatch.open_span(), failure=failure)
