"""Callers without leave: many tries, and bodies that come after the refusal."""

import re

from tests.attack.attack import Attack, Sent
from tests.attack.target import Target

KEYS = {"keys_file": "keys.json"}

TRIES, LINES = 500, 20
BODY = b"x" * 1000


def _try_often(target: Target) -> Sent:
    """Try keys, each another, on connections that are kept; every answer must be a refusal."""
    sent = refused = 0
    for line in range(LINES):
        wire = target.connect()
        with wire.makefile("rb") as answers:
            for number in range(TRIES):
                request = (
                    b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"
                    b"Authorization: Bearer mammoseg_%d_%d\r\nContent-Length: %d\r\n\r\n"
                    % (line, number, len(BODY))
                ) + BODY
                wire.sendall(request)
                sent += len(request)
                refused += answers.readline()[9:12] in (b"401", b"429")
                head = b"".join(iter(answers.readline, b"\r\n"))
                length = re.search(rb"content-length: (\d+)", head)
                answers.read(int(length[1]) if length else 0)
    tries = TRIES * LINES
    return Sent(LINES, sent, () if refused == tries else (f"{refused} of {tries} refused",))


def _send_all_the_same(target: Target) -> Sent:
    """Declare large bodies without a key, and send a little of each."""
    request = (
        b"POST /v1/segment HTTP/1.1\r\nHost: h\r\nContent-Type: application/dicom\r\n"
        b"Content-Length: 134217728\r\n\r\n"
    ) + b"x" * 2**20
    for _ in range(50):
        target.connect().sendall(request)
    return Sent(len(target.lines), 50 * len(request))


ATTACKS = (
    Attack(
        "strangers",
        f"{TRIES * LINES:,} tries without leave, each another key",
        _try_often,
        settings=KEYS,
        alone=True,
    ),
    Attack(
        "stranger-bodies",
        "128 MiB declared without leave, 1 MiB sent",
        _send_all_the_same,
        settings=KEYS,
        alone=True,
    ),
)
