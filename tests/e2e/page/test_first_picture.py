"""From choosing a film to its picture: under three seconds of an idle core."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MAX_S = 3.0


def processor_seconds(browser: list[psutil.Process], service: psutil.Process) -> float:
    """Return what browser and service have taken so far, whatever else the machine does."""
    spent = 0.0
    for process in (*browser, service, *service.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


def test_the_first_picture_is_there_within_three_seconds(
    browser: Any, service: Service, cbis_files: list[Path]
) -> None:
    assert browser.is_connected()
    server = psutil.Process(service.process.pid)
    spent = []
    for file in cbis_files[:3]:
        visit = Visit(browser, service)
        chromium = [
            process
            for process in psutil.Process().children(recursive=True)
            if "chrom" in process.name()
        ]
        before = processor_seconds(chromium, server)
        visit.open(file)
        spent.append(processor_seconds(chromium, server) - before)
        visit.context.close()
        assert visit.faults == []
    # Other processes on the same core empty its caches: the best of three says most.
    assert min(spent) < MAX_S, spent
