"""From choosing a film to its picture: three seconds of a core are aimed at, and told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit, window

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]

FAULT_S = 15.0
"""Five times the aim is no slow machine any more."""


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


def test_the_first_picture_takes_seconds_of_a_core_not_many(
    browser: Any,
    service: Service,
    cbis_files: list[Path],
    record_property: Callable[[str, object], None],
) -> None:
    assert browser.is_connected()
    server = psutil.Process(service.process.pid)
    spent = []
    for file in cbis_files[:3]:
        visit = Visit(window(browser), service)
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
    record_property("processor_s", min(spent))
    assert min(spent) < FAULT_S, spent
