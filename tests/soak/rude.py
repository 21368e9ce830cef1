"""Callers that leave in the middle, and callers that are slow."""

import json
import random
import socket
import time

from tests.soak.callers import Soak, chosen, compare
from tests.soak.samples import Sample
from tests.soak.wire import Caller, RawLine, answer_of, post_head

SLOW_BYTES_S = 3000
TOO_SLOW_BYTES_S = 100
"""Under UPLOAD_BYTES_S of the service."""


def leave(soak: Soak, chance: random.Random, _: Caller) -> None:
    """Begin a request, and hang up in its head, in its body, before or in its answer."""
    body = chosen(soak.good, chance).body
    path = chance.choice(
        ("/v1/segment?include=overlay,heatmap", "/v1/segment?output=image", "/v1/studies")
    )
    request = post_head(path, "application/dicom", len(body)) + body
    where = chance.choice(("head", "body", "answer", "answer", "within"))
    try:
        with RawLine(soak.subject) as line:
            if where == "head":
                line.sendall(request[: chance.randrange(1, 80)])
            elif where == "body":
                line.sendall(request[: chance.randrange(100, len(request))])
                time.sleep(chance.random() * 0.2)
            else:
                line.sendall(request)
                if where == "answer":
                    time.sleep(chance.random() * 0.3)
                else:
                    line.recv(chance.randrange(1, 2000))
                if chance.random() < 0.3:
                    # Half closed: it goes on reading, or so it says.
                    line.shutdown(socket.SHUT_WR)
        soak.subject.ledger.count(f"left in the {where}")
    except OSError:
        # A refusal that comes before the body is whole closes the line.
        soak.subject.ledger.count("left, and were left")


def send_slowly(soak: Soak, chance: random.Random, _: Caller) -> None:
    """Send a small image slowly but fast enough, or too slowly; or read the answer slowly."""
    small = [one for one in soak.good if one.is_own and len(one.body) < 30_000]
    sample, way = chance.choice(small), chance.choice(("slow", "slow", "too slow", "slow reader"))
    start = time.monotonic()
    try:
        with RawLine(soak.subject) as line:
            status, body = _sent_slowly(soak, line, sample, way)
    except OSError:
        status, body = 0, b""
    if soak.ended.is_set():
        return
    ledger, end = soak.subject.ledger, time.monotonic()
    expected = {"slow": {200}, "slow reader": {200}, "too slow": {0, 400}}[way]
    if status in expected | {503, 504}:
        ledger.count(f"{way}: {status}")
        if way == "slow" and status == 200:
            compare(soak, sample, None, json.loads(body))
    elif status == 0 and not soak.subject.was_up(start, end):
        # Who sends longer than DRAIN_S is not waited for.
        ledger.count("broken off by a kill")
    elif status == 400 and soak.subject.losses(start, end) > 1:
        ledger.count("decode-failed as two readers were killed")
    else:
        ledger.fault(f"{way}: {sample.name} was answered {status}")


def _sent_slowly(soak: Soak, line: socket.socket, sample: Sample, way: str) -> tuple[int, bytes]:
    output = "image" if way == "slow reader" else "json"
    head = post_head(f"/v1/segment?output={output}", sample.media_type, len(sample.body))
    if way == "slow reader":
        line.sendall(head + sample.body)
        return answer_of(line, soak.ended)
    line.sendall(head)
    step = (TOO_SLOW_BYTES_S if way == "too slow" else SLOW_BYTES_S) // 5
    for at in range(0, len(sample.body), step):
        line.sendall(sample.body[at : at + step])
        if soak.ended.wait(0.2):
            return 0, b""
    return answer_of(line)
