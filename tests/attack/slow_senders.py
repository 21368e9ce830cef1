"""Bodies that are announced and do not come."""

import threading
import time
from collections.abc import Callable

from tests.attack.attack import MIB, Attack, Sent
from tests.attack.endless import POST
from tests.attack.target import Target

STOW = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
    b'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n\r\n'
)
PART = b"--b\r\nContent-Type: application/dicom\r\n\r\nx\r\n"


def _declared(count: int, length: int, sent: int) -> Callable[[Target], Sent]:
    request = POST + f"Content-Length: {length}\r\n\r\n".encode() + b"x" * sent

    def run(target: Target) -> Sent:
        for _ in range(count):
            target.connect().sendall(request)
        return Sent(count, count * len(request))

    return run


def _parts_without_end(target: Target) -> Sent:
    lines = [target.connect() for _ in range(32)]
    chunk = f"{len(PART):x}\r\n".encode() + PART + b"\r\n"

    def send() -> None:
        try:
            for line in lines:
                line.sendall(STOW)
            while True:
                for line in lines:
                    line.sendall(chunk)
                time.sleep(0.5)
        except OSError:
            return

    threading.Thread(target=send, daemon=True).start()
    time.sleep(2)
    return Sent(len(lines), len(lines) * (len(STOW) + 4 * len(chunk)))


ATTACKS = (
    Attack("128-mib-none", "128 MiB declared, a byte sent", _declared(3, 128 * MIB, 1)),
    Attack("128-mib-one", "128 MiB declared, 1 MiB sent", _declared(3, 128 * MIB, MIB)),
    Attack("5-mb-none", "5 MB declared, a byte sent", _declared(32, 5_000_000, 1)),
    Attack("5-mb-four", "5 MB declared, 4 MB sent", _declared(32, 5_000_000, 4_000_000)),
    Attack("stow-parts", "a part of a byte each half second, for ever", _parts_without_end),
)
