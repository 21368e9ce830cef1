"""Connects what is counted inside the net and the readers with the metrics."""

import time

import structlog

from service import __version__
from service.inference.device_memory import DeviceMemory
from service.metrics import Metrics
from service.segmenter import Segmenter

log = structlog.get_logger("mammoseg")

MEMORY_EVERY_S = 5.0
"""Between two looks at a GPU's memory, which changes little once the net is warm."""


def watch(segmenter: Segmenter, metrics: Metrics) -> None:
    """Show what net and readers do, and what they are, from now on."""
    net, reader, info = segmenter.net, segmenter.reader, segmenter.net.model_info
    metrics.watch_net(lambda: net.waiting, lambda: net.net_seconds)
    metrics.watch_readers(lambda: reader.waiting)
    metrics.tell_of_build(
        __version__,
        {
            "name": segmenter.model.name,
            "version": segmenter.model.version,
            "sha256": segmenter.model.sha256,
            "device": info.device,
            "provider": info.provider,
            "setup": info.setup,
        },
    )
    if info.device == "cpu":
        net.listen(metrics.observe_run)
        return
    net.listen(RunWatcher(metrics, DeviceMemory()))


class RunWatcher:
    """Counts runs on a GPU and, now and then, looks at its memory.

    On the thread that owns the device: a driver that hangs must not hang whoever asks for metrics.

    Parameters
    ----------
    metrics
        Where they are counted.
    memory
        The device's.
    """

    def __init__(self, metrics: Metrics, memory: DeviceMemory) -> None:
        self._metrics, self._memory, self._next = metrics, memory, 0.0

    def __call__(self, waited_s: list[float], seconds: float) -> None:
        """Count a run."""
        self._metrics.observe_run(waited_s, seconds)
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + MEMORY_EVERY_S
        try:
            found = self._memory.used_and_total()
        except (AttributeError, OSError) as error:
            # An old driver lacks a function; then nobody says.
            log.warning("device-memory-unknown", error=type(error).__name__)
            self._next = float("inf")
            return
        if found is not None:
            for state, size in zip(("used", "total"), found, strict=True):
                self._metrics.device_memory_bytes.labels(state).set(size)
