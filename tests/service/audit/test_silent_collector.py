"""A collector that takes connections and reads nothing delays nobody who has something to tell."""

import socket
import threading
from pathlib import Path

import pytest

from service.audit import collector
from service.audit.events import accessed
from service.audit.instances import InstanceIdentity
from service.audit.trail import AuditTrail
from service.settings import Settings
from tests.waiting import HANG_S, ends

pytestmark = pytest.mark.integration


def test_a_collector_that_takes_connections_and_reads_nothing_delays_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "TIMEOUT_S", 10 * HANG_S)
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        held: list[socket.socket] = []
        taking = threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True)
        taking.start()
        port = listener.getsockname()[1]
        options = Settings(audit=f"syslog-tcp://127.0.0.1:{port}").audit_options(tmp_path)
        trail = AuditTrail("test", options)
        trail.start()
        taking.join(HANG_S)
        events = accessed(trail.process, trail.process, [InstanceIdentity()])

        def tell() -> None:
            # Several megabytes: more than the sockets between hold.
            for _ in range(4000):
                trail.record(events)

        assert ends(tell)
        for line in held:
            line.close()
        trail.close()
