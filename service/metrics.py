"""Prometheus metrics: counts, times and what images are like; never anything of a patient.

docs/metrics.md lists them, with their labels. No label takes a text of a caller's: each has a
bounded number of values, which are this project's own words or an operator's.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

Source = Literal["request", "inbox"]
"""Who wants an image judged: a caller that waits, or the inbox."""

Outcome = Literal["lesion", "no_lesion", "refused", "failed", "left"]
"""What came of an image: a decision; a refusal (4xx); a failure of the moment or of the service
(5xx); or nobody waited for it any more."""

WATCHED_PROBLEMS = ("busy", "device-failed")
"""Codes that alerts count. Prometheus sees how much a series grew only where it was there before,
and that of a device that failed has seconds to be seen in."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SHORT_SECONDS = (0.001, 0.0025, *_SECONDS)
_TILES = (1, 2, 4, 8, 16, 32)
_SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_DIFFERENCES = (-0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_AREAS_MM2 = (0, 25, 50, 100, 200, 400, 800, 1600, 3200)
_BITS = (8, 10, 12, 14, 16)
_SPACINGS_MM = (0.04, 0.05, 0.06, 0.07, 0.085, 0.1, 0.12, 0.2)

MODEL_LABELS = ("id", "role", "name", "version", "sha256", "device", "provider", "setup")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What metrics tell of one image that was judged.

    Attributes
    ----------
    manufacturer, model
        Of the mammography unit, out of a bounded list; see `service.telemetry.equipment`.
    score
        The has-mask score, in [0, 1].
    decision
        Whether it reaches the threshold.
    area_mm2
        Of the mask; None where the pixel spacing is not known.
    bits_stored
        Of a DICOM image (0028,0101), None where it does not say.
    pixel_spacing_mm
        Between rows; None where it is not known.
    tiles
        Of the net.
    warnings
        Codes.
    timing_ms
        Milliseconds by stage.
    """

    manufacturer: str
    model: str
    score: float
    decision: bool
    area_mm2: float | None
    bits_stored: int | None
    pixel_spacing_mm: float | None
    tiles: int
    warnings: tuple[str, ...]
    timing_ms: dict[str, float]


class Metrics:
    """The service's own registry; one per application, so that tests do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", "route", "status")
        self.request_seconds = self._histogram(
            "request_seconds",
            "From the first byte of a request to the last of its answer.",
            _SECONDS,
            "route",
        )
        self.stage_seconds = self._histogram(
            "stage_seconds", "Time a mammogram spends in each stage.", _SECONDS, "stage"
        )
        self.problems = self._counter("problems", "Problems answered, by code.", "code")
        for code in WATCHED_PROBLEMS:
            self.problems.labels(code)
        self.in_flight = self._gauge("in_flight", "Mammograms held now.")
        self.slots = self._gauge("slots", "Mammograms that may be held at once.")
        self.queue_length = self._gauge(
            "queue_length", "Mammograms received that no worker's thread has taken yet."
        )
        self.queue_seconds = self._histogram(
            "queue_seconds", "How long a received mammogram waits for a worker.", _SHORT_SECONDS
        )
        self._add_images()
        self._add_models()
        self._add_net()
        self._add_inbox()

    def watch_net(
        self, tiles_waiting: Callable[[], float], net_seconds: Callable[[], float]
    ) -> None:
        """Show the net's own counts, asked for when the metrics are."""
        self._gauge("tiles_waiting", "Tiles that no runner has taken.").set_function(tiles_waiting)
        self._gauge("net_cpu_seconds", "CPU time inside the net since the start.").set_function(
            net_seconds
        )

    def watch_readers(self, waiting: Callable[[], float]) -> None:
        """Show how many files wait for a reader, asked for when the metrics are."""
        self._gauge("reads_waiting", "Files that no reader has taken.").set_function(waiting)

    def tell_of_build(self, version: str) -> None:
        """Show what runs here: the service's version, and Python's."""
        build = self._gauge("build_info", "What runs here; always 1.", "version", "python")
        build.labels(version, platform.python_version()).set(1)

    def tell_of_models(self, models: Sequence[Mapping[str, str]]) -> None:
        """Show which models there are now; those that were told of before are forgotten."""
        self.model_info.clear()
        for labels in models:
            self.model_info.labels(**labels).set(1)

    def observe_shadow(
        self, answered: float, decision: bool, shadow: float, shadow_decision: bool
    ) -> None:
        """Count an image that the shadow model judged: both scores, and both decisions."""
        self.shadow_difference.observe(shadow - answered)
        lesion = {(True, True): "both", (True, False): "answer", (False, True): "shadow"}
        found_by = lesion.get((decision, shadow_decision), "neither")
        self.shadow_images.labels(found_by).inc()

    def observe_run(self, waited_s: list[float], seconds: float) -> None:
        """Count one run of the net: how long each of its tiles waited, and how long it took."""
        self.batch_tiles.observe(len(waited_s))
        self.run_seconds.observe(seconds)
        for wait_s in waited_s:
            self.tile_wait_seconds.observe(wait_s)

    def observe_image(self, source: Source, facts: ImageFacts) -> None:
        """Count an image that was judged."""
        self.observe_stages(facts.timing_ms)
        self.images.labels(source, "lesion" if facts.decision else "no_lesion").inc()
        self.image_tiles.observe(facts.tiles)
        unit = (facts.manufacturer, facts.model)
        self.score.labels(*unit).observe(facts.score)
        if facts.area_mm2 is not None:
            self.mask_area_mm2.labels(*unit).observe(facts.area_mm2)
        if facts.bits_stored is not None:
            self.bits_stored.labels(*unit).observe(facts.bits_stored)
        if facts.pixel_spacing_mm is not None:
            self.pixel_spacing_mm.labels(*unit).observe(facts.pixel_spacing_mm)
        for code in facts.warnings:
            self.warnings.labels(code).inc()

    def observe_failure(self, source: Source, outcome: Outcome, code: str) -> None:
        """Count an image that was not judged, and why; the code is one of the service's own."""
        self.images.labels(source, outcome).inc()
        self.refusals.labels(source, code).inc()

    def observe_stages(self, timing_ms: dict[str, float]) -> None:
        """Count one mammogram's stages."""
        for stage, milliseconds in timing_ms.items():
            self.stage_seconds.labels(stage).observe(milliseconds / 1e3)

    def _add_images(self) -> None:
        unit = ("manufacturer", "model")
        self.images = self._counter(
            "images", "Images that came to an end, by what came of them.", "source", "outcome"
        )
        for source in get_args(Source):
            for outcome in get_args(Outcome):
                self.images.labels(source, outcome)
        self.refusals = self._counter(
            "refusals", "Images that were not judged, by the problem's code.", "source", "code"
        )
        self.warnings = self._counter("warnings", "Warnings in answers, by code.", "code")
        self.score = self._histogram("score", "Has-mask scores.", _SCORES, *unit)
        self.mask_area_mm2 = self._histogram(
            "mask_area_mm2", "Areas of masks, in mm2; 0 for an empty one.", _AREAS_MM2, *unit
        )
        self.bits_stored = self._histogram(
            "bits_stored", "Bits Stored (0028,0101) of DICOM images.", _BITS, *unit
        )
        self.pixel_spacing_mm = self._histogram(
            "pixel_spacing_mm", "Millimetres between rows, where known.", _SPACINGS_MM, *unit
        )

    def _add_models(self) -> None:
        self.model_info = self._gauge(
            "model_info", "The models that there are; always 1.", *MODEL_LABELS
        )
        self.model_images = self._counter(
            "model_images", "Images that came to an end, by the model asked.", "model", "outcome"
        )
        self.model_replacements = self._counter(
            "model_replacements", "New files of a model, by what came of them.", "model", "outcome"
        )
        self.shadow_images = self._counter(
            "shadow_images", "Images that the shadow judged, by who finds a lesion.", "lesion"
        )
        self.shadow_dropped = self._counter(
            "shadow_dropped", "Images chosen for the shadow that it did not judge.", "reason"
        )
        self.shadow_difference = self._histogram(
            "shadow_score_difference", "The shadow's score minus the answer's.", _DIFFERENCES
        )

    def _add_net(self) -> None:
        self.image_tiles = self._histogram("image_tiles", "Tiles of an image.", _TILES)
        self.batch_tiles = self._histogram("batch_tiles", "Tiles in one run of the net.", _TILES)
        self.run_seconds = self._histogram(
            "run_seconds", "Time of one run of the net.", _SHORT_SECONDS
        )
        self.tile_wait_seconds = self._histogram(
            "tile_wait_seconds", "How long a tile waits for a runner.", _SHORT_SECONDS
        )
        self.device_memory_bytes = self._gauge(
            "device_memory_bytes", "Memory of the GPU; there is none on a CPU.", "state"
        )

    def _add_inbox(self) -> None:
        self.inbox_instances = self._gauge(
            "inbox_instances", "Instances in the inbox, by state.", "state"
        )
        self.inbox_deliveries = self._gauge(
            "inbox_deliveries",
            "Results that wait for, or are dead at, a destination.",
            "destination",
            "state",
        )
        self.inbox_failing = self._gauge(
            "inbox_failing", "1 while nothing of the inbox is worked on because that fails; else 0."
        )
        self.inbox_bytes = self._gauge("inbox_bytes", "Disk that the inbox takes.")
        self.inbox_max_bytes = self._gauge("inbox_max_bytes", "Disk that the inbox may take.")
        self.inbox_oldest_seconds = self._gauge(
            "inbox_oldest_seconds", "Age of the oldest instance that waits to be processed; else 0."
        )
        self.outbox_oldest_seconds = self._gauge(
            "outbox_oldest_seconds",
            "Age of the oldest result that waits for a destination; 0 where none does.",
            "destination",
        )
        self.deliveries = self._counter(
            "deliveries", "Attempts to deliver a result, by outcome.", "destination", "outcome"
        )
        self.reports = self._counter(
            "not_run_reports",
            "Reports that an image of the inbox was not analysed, by the problem's code.",
            "outcome",
            "code",
        )
        self.delivery_seconds = self._histogram(
            "delivery_seconds", "Time of one attempt to deliver.", _SECONDS, "destination"
        )

    def clear_inbox(self) -> None:
        """Say nothing of the inbox any more: another replica does."""
        for labelled in (self.inbox_instances, self.inbox_deliveries, self.outbox_oldest_seconds):
            labelled.clear()
        for gauge in (self.inbox_bytes, self.inbox_max_bytes, self.inbox_oldest_seconds):
            gauge.set(0)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"mammoseg_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"mammoseg_{name}", about, labels, registry=self.registry)

    def _histogram(
        self, name: str, about: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"mammoseg_{name}", about, labels, buckets=buckets, registry=self.registry)
