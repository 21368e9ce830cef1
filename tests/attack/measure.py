"""One attack, measured: memory, health meanwhile, the next good request, and what that says."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from tests import http_client
from tests.attack.attack import MIB, Attack, Sent
from tests.attack.target import TIMEOUT_S, Target
from tests.dicom_files import dicom_file, phantom

MAX_HEALTH_S = 10.0
"""A probe gives up after three of 3 s."""

MAX_UPLOAD_S = 20.0
GOOD = dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])


@dataclass(frozen=True, slots=True)
class Row:
    """What an attack did.

    Attributes
    ----------
    sent
        What it took.
    own_mib, tree_mib, memory_mib
        Peaks of the service alone and with its readers, and what MAMMOSEG_MEMORY_MIB allows both.
    health_s
        Longest answer of /health/live.
    good
        Seconds until the next good mammogram was answered, or what was answered instead.
    faults
        Walls that fell.
    """

    attack: Attack
    sent: Sent
    own_mib: float
    tree_mib: float
    memory_mib: int
    health_s: float
    good: str
    faults: tuple[str, ...]


def measure(attack: Attack, target: Target) -> Row:
    """Attack a service that runs."""
    attack.prepare()
    target.peak.begin()
    with _asking_for_health(target) as took:
        time.sleep(0.3)
        try:
            sent = attack.run(target)
        except OSError as error:
            sent = Sent(len(target.lines), 0, (str(error),))
        good, upload_s = _good_request(target)
        if attack.refuses_next and upload_s > MAX_UPLOAD_S:
            second, upload_s = _good_request(target)
            good = f"{good}, then {second}"
        time.sleep(0.2)
    target.close_lines()
    memory_mib = target.memory_mib
    own_mib, tree_mib = target.peak.own / MIB, target.peak.tree / MIB
    faults = list(sent.faults)
    if target.process is None or target.process.poll() is not None:
        faults.append("the service ended")
    if tree_mib > memory_mib:
        faults.append(f"{tree_mib:.0f} MiB of {memory_mib}")
    if max(took) > MAX_HEALTH_S:
        faults.append(f"health after {max(took):.1f} s")
    if upload_s > MAX_UPLOAD_S:
        faults.append(f"the next mammogram: {good}")
    return Row(attack, sent, own_mib, tree_mib, memory_mib, max(took), good, tuple(faults))


@contextlib.contextmanager
def _asking_for_health(target: Target) -> Iterator[list[float]]:
    """Ask again and again, and keep how long each answer took, in seconds."""
    took, ended = [0.0], threading.Event()

    def ask() -> None:
        while not ended.wait(0.05):
            url, started = target.url, time.monotonic()
            if not url:
                continue
            try:
                http_client.get(f"{url}/health/live", timeout=TIMEOUT_S)
            except httpx.HTTPError:
                # Refused where the attack has just ended the service.
                if not target.url:
                    continue
            took.append(time.monotonic() - started)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        ended.set()
        asking.join()


def _good_request(target: Target) -> tuple[str, float]:
    """Send a good mammogram; a 503 asks to come again, and is done so, as clients do."""
    started = time.monotonic()
    while True:
        status = target.post("/v1/segment", GOOD, "application/dicom")
        seconds = time.monotonic() - started
        if status == 200:
            return f"{seconds:.1f}", seconds
        if status != 503 or seconds > MAX_UPLOAD_S:
            return f"{status or 'no answer'} after {seconds:.1f}", float("inf")
        time.sleep(0.5)
