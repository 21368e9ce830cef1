import os
import sys
import threading

import pytest

from service.priority import STEPS, give_way

pytestmark = pytest.mark.unit


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priorities are those of processes")
def test_only_the_thread_that_asks_gives_way() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    after: list[int] = []

    def compute() -> None:
        give_way()
        after.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    assert after == [min(19, before + STEPS)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
