"""A message costs the request that it tells of next to nothing, whatever the collector does."""

import socket
import threading
import time
from pathlib import Path

import pytest

from service.access.caller import Caller
from service.audit.events import accessed
from service.audit.instances import InstanceIdentity, identity_of
from service.audit.participants import http_caller
from service.audit.trail import AuditTrail
from service.imaging.source_header import look
from service.settings import Settings
from tests.service.audit.collectors import Collector
from tests.service.inbox.conftest import mammogram

pytestmark = pytest.mark.integration

BATCHES, BATCH = 20, 20


def cost_s(trail: AuditTrail) -> float:
    """Return the processor time of this thread for one message, seconds: of the best batch."""
    header = look(mammogram(PatientName="Doe^Jane")).header
    who = http_caller(Caller("pacs", "key:pacs", frozenset()), "10.0.0.7")
    best = 1.0
    for _ in range(BATCHES):
        begin = time.thread_time()
        for _ in range(BATCH):
            trail.record(accessed(who, trail.process, [identity_of(header.dataset())]))
        best = min(best, (time.thread_time() - begin) / BATCH)
    return best


@pytest.mark.parametrize("is_there", [True, False])
def test_a_message_costs_less_than_a_millisecond(tmp_path: Path, is_there: bool) -> None:
    with Collector() as collector:
        port = collector.port if is_there else 9
        options = Settings(audit=f"syslog-tcp://127.0.0.1:{port}").audit_options(tmp_path)
        with AuditTrail("test", options) as trail:
            assert cost_s(trail) < 1e-3


def test_a_collector_that_takes_connections_and_reads_nothing_delays_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        held: list[socket.socket] = []
        taking = threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True)
        taking.start()
        port = listener.getsockname()[1]
        options = Settings(audit=f"syslog-tcp://127.0.0.1:{port}").audit_options(tmp_path)
        trail = AuditTrail("test", options)
        trail.start()
        taking.join(20)
        events = accessed(trail.process, trail.process, [InstanceIdentity()])
        longest = 0.0
        # Several megabytes: more than the sockets between hold.
        for _ in range(4000):
            begin = time.perf_counter()
            trail.record(events)
            longest = max(longest, time.perf_counter() - begin)
        # As long as another transaction at the worst; its sender waits for ten seconds.
        assert longest < 5.0
        for line in held:
            line.close()
        trail.close()
