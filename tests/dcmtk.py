"""dcmtk's storescp, for as long as a test needs it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.programs import require_program


@contextmanager
def storescp(folder: Path, *options: str | Path) -> Iterator[int]:
    """Run dcmtk's storescp, and give its port."""
    port = free_port()
    command = [require_program("storescp", "dcmtk"), "-v", "-od", folder, *options, port]
    with (folder / "storescp.log").open("wb") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log)
    try:
        ends = time.monotonic() + 30
        while not _listens(port) and time.monotonic() < ends:
            assert process.poll() is None, (folder / "storescp.log").read_text()
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
