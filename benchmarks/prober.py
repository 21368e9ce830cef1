"""Asks a server for its health from a process of its own: python -m benchmarks.prober PORT.

Whoever sends fifty mammograms at once is busy itself, for hundreds of milliseconds; an orchestrator
that asks for health is not. A question goes out every fiftieth of a second, whether or not the last
was answered: a server that hangs must not be asked less often for it. At the end of its input it
prints the replies as JSON.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import Reply, ask

EVERY_S = 0.02
PROBE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@contextmanager
def probing(port: int) -> Iterator[list[Reply]]:
    """Probe a server while in the context; the list is filled when it ends."""
    replies: list[Reply] = []
    command = [sys.executable, "-m", "benchmarks.prober", str(port)]
    prober = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert prober.stdout is not None
        prober.stdout.readline()
        yield replies
        told, _ = prober.communicate(timeout=120)
    finally:
        prober.kill()
        prober.wait()
    replies.extend(Reply(status, seconds) for status, seconds in json.loads(told))


async def _probe(port: int) -> list[Reply]:
    loop = asyncio.get_running_loop()
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    asked: list[asyncio.Task[Reply]] = []
    start = loop.time()
    while not ended.done():
        asked.append(asyncio.create_task(ask(port, PROBE)))
        await asyncio.sleep(start + len(asked) * EVERY_S - loop.time())
    return list(await asyncio.gather(*asked))


def main(port: int) -> None:
    """Greet, probe until the input ends, print."""
    sys.stdout.write("probing\n")
    sys.stdout.flush()
    replies = asyncio.run(_probe(port))
    json.dump([(reply.status, reply.seconds) for reply in replies], sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
