"""Connects what is counted inside a net with the metrics."""

import time

import structlog

from service.inference.device_memory import DeviceMemory
from service.inference.net import Net
from service.metrics import Metrics

log = structlog.get_logger("mammoseg")

MEMORY_EVERY_S = 5.0
"""Between two looks at a GPU's memory, which changes little once the net is warm."""


def watch_runs(net: Net, metrics: Metrics) -> None:
    """Count a net's runs from now on."""
    on_cpu = net.model_info.device == "cpu"
    net.listen(metrics.observe_run if on_cpu else RunWatcher(metrics, DeviceMemory()))


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
