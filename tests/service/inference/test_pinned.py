import gc
from typing import Any

import numpy as np
import pytest

from service.inference.pinned import PORTABLE, page_locked

pytestmark = pytest.mark.unit


FLOAT = np.dtype(np.float32)


class Driver:
    """Counts what is locked."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.locked: dict[int, int] = {}
        self.unlocked: list[int] = []

    def cuMemHostRegister_v2(self, start: Any, size: Any, flags: Any) -> int:
        assert flags.value == PORTABLE
        self.locked[start.value] = size.value
        return self.answer

    def cuMemHostUnregister(self, start: Any) -> int:
        self.unlocked.append(start.value)
        return 0


def test_memory_is_locked_whole_and_let_go_before_it_is_freed() -> None:
    driver = Driver(0)
    values = page_locked(1000, FLOAT, driver)
    view, address = values[:10], values.ctypes.data
    assert (values.dtype, values.shape, values.any()) == (np.float32, (1000,), False)
    assert driver.locked == {address: 4000}
    del values
    gc.collect()
    assert driver.unlocked == [] and view.size == 10
    del view
    gc.collect()
    assert driver.unlocked == [address]


def test_where_the_driver_refuses_the_memory_serves_all_the_same() -> None:
    driver = Driver(201)
    values = page_locked(10, FLOAT, driver)
    assert values.shape == (10,)
    del values
    gc.collect()
    assert driver.unlocked == []


def test_without_a_driver_the_memory_serves_all_the_same() -> None:
    assert page_locked(10, FLOAT, None).shape == (10,)
