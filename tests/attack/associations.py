"""Connections to `mammoseg scp` that are no associations, or whose request never ends."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from tests.attack.attack import MIB, Attack, Sent
from tests.attack.target import Target, end, mammogram
from tests.ports import free_port
from tests.waiting import comes_true

MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
TIMEOUT_S = 20


def _against_scp(begin: Callable[[Target, int], tuple[int, int]]) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        port = free_port()
        target.destination.received.clear()
        process = target.run("service", "scp", "--port", str(port))
        try:
            if not comes_true(lambda: _listens(port), 60):
                return Sent(0, 0, ("mammoseg scp did not start",))
            count, sent = begin(target, port)
            return Sent(count, sent, _next_sender(target, port))
        finally:
            end(process)

    return run


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _line(target: Target, port: int) -> socket.socket:
    target.lines.append(socket.create_connection(("127.0.0.1", port), 5))
    return target.lines[-1]


def _silent(target: Target, port: int) -> tuple[int, int]:
    for _ in range(40):
        _line(target, port)
    return 40, 0


def _probes(target: Target, port: int) -> tuple[int, int]:
    for _ in range(40):
        _line(target, port).close()
        time.sleep(0.05)
    return 40, 0


def _endless_request(target: Target, port: int) -> tuple[int, int]:
    line, sent = _line(target, port), 0
    # A-ASSOCIATE-RQ (PS3.8 9.3.2) of 4 GiB.
    with contextlib.suppress(OSError):
        line.sendall(struct.pack(">BxL", 1, 2**32 - 1))
        while sent < 64 * MIB:
            line.sendall(bytes(MIB))
            sent += MIB
    return 1, sent


def _next_sender(target: Target, port: int) -> tuple[str, ...]:
    """Store a mammogram as a modality does, and wait for its results."""
    entity = AE()
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(MAMMOGRAPHY, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="MAMMOSEG")
    if not association.is_established:
        return ("no association",)
    status = association.send_c_store(dcmread(BytesIO(mammogram(port))))
    association.release()
    if "Status" not in status or status.Status != 0:
        return ("C-STORE failed",)
    return target.missing_results(1)


ATTACKS = (
    Attack("scp-silent", "40 silent connections to scp", _against_scp(_silent)),
    Attack("scp-probes", "40 health checks of scp: connect, leave", _against_scp(_probes)),
    Attack("scp-endless", "64 MiB of one association request", _against_scp(_endless_request)),
)
