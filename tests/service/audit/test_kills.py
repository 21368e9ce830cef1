"""Whatever is killed, what was recorded reaches the collector."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.audit.buffer import FILE, AuditBuffer
from tests.soak.audit_kills import run
from tests.thinned import thinned

pytestmark = [pytest.mark.integration]

KILLED = """
import os, signal, sys
from pathlib import Path
from service.audit.buffer import AuditBuffer
buffer = AuditBuffer(Path(sys.argv[1]), 2**20)
for number in range(20):
    buffer.add("head", b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_added_outlives_a_kill_at_once(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    buffer = AuditBuffer(tmp_path, 2**20)
    assert [each.content for each in buffer.after(0, 99)] == [b"%d" % n for n in range(20)]
    buffer.close()
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.slow
@pytest.mark.parametrize("kills", thinned([1, 3, 6], 3))
def test_nothing_is_lost_under_kills_of_who_records_and_who_collects(
    tmp_path: Path, kills: int
) -> None:
    """The third kill takes the collector, too; a hundred are `tests.soak.audit_kills`."""
    found = run(kills, tmp_path)
    assert found.promised > kills
    assert found.missing == 0 and found.unlike == 0
