"""The memory of the whole process tree, under load, against the one setting that bounds it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from tests import http_client
from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import serving_by_command

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MEMORY_MIB = 1024
ROWS, COLUMNS = 4096, 3328


class Watch(threading.Thread):
    """Looks at the resident memory of a process and its children, again and again."""

    def __init__(self, pid: int, period_s: float = 0.01) -> None:
        super().__init__(daemon=True)
        self.root, self.peak, self.ended = psutil.Process(pid), 0, False
        self.period_s = period_s

    def run(self) -> None:
        while not self.ended:
            total = 0
            for process in (self.root, *self.root.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(self.period_s)


def test_a_crowd_of_full_size_mammograms_stays_under_the_cap(tmp_path: Path) -> None:
    small = phantom(12, rows=ROWS // 64, columns=COLUMNS // 64)
    body = dicom_file(np.repeat(np.repeat(small, 64, axis=0), 64, axis=1))
    assert len(body) > 27_000_000
    bomb = bytes(cv2.imencode(".png", np.zeros((8000, 7900), np.uint16))[1])
    settings = {"memory_mib": str(MEMORY_MIB), "runners": "1", "deadline_s": "300"}
    with serving_by_command(tmp_path, **settings) as service:

        def post(content: bytes) -> int:
            url = f"{service.url}/v1/segment"
            return http_client.post(url, content=content, timeout=300).status_code

        watch = Watch(service.process.pid)
        watch.start()
        with ThreadPoolExecutor(6) as callers:
            statuses = list(callers.map(post, [body] * 5 + [bomb]))
        watch.ended = True
        watch.join()
    assert statuses == [200] * 5 + [422]
    assert watch.peak < MEMORY_MIB << 20
