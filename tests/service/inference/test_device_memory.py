"""What the driver is asked, in which order, on a driver that is made up."""

import ctypes
from typing import Any

import pytest

from service.inference.device_memory import DeviceMemory
from service.metrics import Metrics
from service.telemetry.watching import RunWatcher

pytestmark = pytest.mark.unit


class Driver:
    """A driver that answers, or whose named function fails."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.asked = failing, list[str]()

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.asked.append(name)
            if name == "cuMemGetInfo_v2":
                for argument, value in zip(arguments, (30, 100), strict=True):
                    ctypes.cast(argument, ctypes.POINTER(ctypes.c_size_t))[0] = value
            return 999 if name == self.failing else 0

        return function


def test_bytes_taken_and_bytes_there_are_asked_for_in_the_primary_context() -> None:
    driver = Driver()
    assert DeviceMemory(driver).used_and_total() == (70, 100)
    assert driver.asked == [
        *("cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2"),
        *("cuMemGetInfo_v2", "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"),
    ]


@pytest.mark.parametrize(
    "failing",
    ["cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"],
)
def test_a_driver_that_fails_says_nothing_and_keeps_nothing(failing: str) -> None:
    driver = Driver(failing)
    assert DeviceMemory(driver).used_and_total() is None
    retained = driver.asked.count("cuDevicePrimaryCtxRetain") * (
        failing != "cuDevicePrimaryCtxRetain"
    )
    assert driver.asked.count("cuDevicePrimaryCtxRelease_v2") == retained
    pushed = driver.asked.count("cuCtxPushCurrent_v2") * (failing != "cuCtxPushCurrent_v2")
    assert driver.asked.count("cuCtxPopCurrent_v2") == pushed


def shown(metrics: Metrics, state: str) -> float | None:
    return metrics.registry.get_sample_value("mammoseg_device_memory_bytes", {"state": state})


def test_memory_is_looked_at_now_and_then_by_the_thread_that_owns_the_device() -> None:
    metrics, driver = Metrics(), Driver()
    watcher = RunWatcher(metrics, DeviceMemory(driver))
    assert shown(metrics, "used") is None
    for _ in range(3):
        watcher([0.1, 0.2], 0.3)
    assert (shown(metrics, "used"), shown(metrics, "total")) == (70, 100)
    assert driver.asked.count("cuMemGetInfo_v2") == 1
    assert metrics.registry.get_sample_value("mammoseg_batch_tiles_sum") == 6


def test_a_driver_without_a_function_never_stops_the_net() -> None:
    metrics = Metrics()
    watcher = RunWatcher(metrics, DeviceMemory(object()))
    watcher([0.1], 0.3)
    watcher([0.1], 0.3)
    assert shown(metrics, "used") is None
    assert metrics.registry.get_sample_value("mammoseg_run_seconds_count") == 2
