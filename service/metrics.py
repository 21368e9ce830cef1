"""Prometheus metrics: counts and times by route and status, never by patient."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The service's own registry; one per application, so that tests do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mammoseg_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "mammoseg_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "mammoseg_stage_seconds",
            "Time a mammogram spends in each stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.problems = Counter(
            "mammoseg_problems", "Problems answered, by code.", ["code"], registry=self.registry
        )
        self.in_flight = Gauge("mammoseg_in_flight", "Mammograms held now.", registry=self.registry)
        self._add_inbox()

    def watch_net(
        self, tiles_waiting: Callable[[], float], net_seconds: Callable[[], float]
    ) -> None:
        """Show the net's own counts, asked for when the metrics are."""
        Gauge(
            "mammoseg_tiles_waiting", "Tiles that no runner has taken.", registry=self.registry
        ).set_function(tiles_waiting)
        Gauge(
            "mammoseg_net_cpu_seconds",
            "CPU time inside the net since the start.",
            registry=self.registry,
        ).set_function(net_seconds)

    def _add_inbox(self) -> None:
        self.inbox_instances = Gauge(
            "mammoseg_inbox_instances",
            "Instances in the inbox, by state.",
            ["state"],
            registry=self.registry,
        )
        self.inbox_deliveries = Gauge(
            "mammoseg_inbox_deliveries",
            "Results that wait for, or are dead at, a destination.",
            ["destination", "state"],
            registry=self.registry,
        )
        self.inbox_bytes = Gauge(
            "mammoseg_inbox_bytes", "Disk that the inbox takes.", registry=self.registry
        )
        self.deliveries = Counter(
            "mammoseg_deliveries",
            "Attempts to deliver a result, by outcome.",
            ["destination", "outcome"],
            registry=self.registry,
        )

    def observe_stages(self, timing_ms: dict[str, float]) -> None:
        """Count one mammogram's stages."""
        for stage, milliseconds in timing_ms.items():
            self.stage_seconds.labels(stage).observe(milliseconds / 1e3)
