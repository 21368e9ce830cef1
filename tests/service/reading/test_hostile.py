"""Attacks from inside a reader: code that runs in it gets neither out nor at others' images."""

import os
import pickle
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from service.errors import MammosegError, UnreadableImage, UnsuitableImage
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits
from service.reading import sandbox
from service.reading.messages import Decoded, encode
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest
from tests.dicom_files import dicom_file
from tests.hostile_reader import __file__ as HOSTILE

pytestmark = pytest.mark.integration

COMMAND = (sys.executable, "-I", HOSTILE)
SECRET = "KIRSTEN^MUSTER"


def pool_of(count: int, deadline_s: float = 20) -> ReaderPool:
    return ReaderPool(
        ReaderOptions(count, ReadLimits(max_pixels=10**6), 512, deadline_s), COMMAND
    ).wait_until_ready()


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    opened = pool_of(1)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lied_to() -> Iterator[ReaderPool]:
    opened = pool_of(1)
    yield opened
    opened.close()


def attack(pool: ReaderPool, name: str, argument: object = "", pad: int = 0) -> str:
    mammogram = pool.read(ReadRequest(f"attack:{name}:{argument}".encode() + bytes(pad)))
    return mammogram.caveats[0].detail


def linux_with(*parts: str) -> pytest.MarkDecorator:
    """Skip where the kernel lacks all of the parts, any of which stops an attack."""
    off = sys.platform != "linux"
    return pytest.mark.skipif(off, reason=f"needs {' or '.join(parts)}")


@linux_with("seccomp", "landlock", "capabilities")
@pytest.mark.parametrize(
    "name",
    [
        *("memory-of-parent", "environment-of-parent", "peek-into-parent", "signal-to-parent"),
        *("listen", "program", "child", "append-to-code", "uncounted-memory"),
        *("shorten", "shorten-by-path"),
    ],
)
def test_a_reader_is_refused(pool: ReaderPool, name: str) -> None:
    assert attack(pool, name).startswith("refused: PermissionError")


def test_a_reader_finds_no_secret_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://user:secret@archive.example/dicom-web"  # pragma: allowlist secret
    monkeypatch.setenv("MAMMOSEG_DESTINATIONS", address)
    opened = pool_of(1)
    try:
        names = set(attack(opened, "own-environment").removeprefix("done: ").split())
    finally:
        opened.close()
    known = {"LC_CTYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LD_LIBRARY_PATH"}
    assert names <= known | {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def test_a_reader_has_no_descriptor_but_its_own(pool: ReaderPool) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        kinds = attack(pool, "open-descriptors").removeprefix("done: ").split()
    # Input, output and errors go nowhere; its socket; the shared memory, which Python's mmap keeps.
    assert [kind[:2] for kind in kinds[:3]] == ["20", "20", "20"]
    assert sorted(kind[:2] for kind in kinds[3:]) == ["10", "10", "14"]


def test_a_reader_reaches_no_service_on_this_machine(pool: ReaderPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert attack(pool, "connect", port).startswith("refused: PermissionError")


def test_a_reader_reads_and_writes_no_file(pool: ReaderPool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    assert attack(pool, "read", secret).startswith("refused: PermissionError")
    assert attack(pool, "list", tmp_path).startswith("refused: PermissionError")
    assert attack(pool, "write", tmp_path / "new").startswith("refused: PermissionError")
    assert sorted(tmp_path.iterdir()) == [secret]


def test_a_reader_may_do_what_decoders_do(pool: ReaderPool) -> None:
    assert attack(pool, "many-calls") == "done: 10"


def test_a_reader_sees_no_file_that_another_reads() -> None:
    opened = pool_of(2)
    try:
        # Readers take turns.
        attack(opened, "nothing"), attack(opened, "nothing")
        assert attack(opened, "nothing", pad=3_000_000)
        assert attack(opened, "nothing", SECRET, pad=3_000_000)
        assert attack(opened, "search", SECRET[::-1], pad=9) == "done: 0"
    finally:
        opened.close()


def test_of_a_file_nothing_is_left_for_the_next() -> None:
    opened = pool_of(1)
    try:
        opened.look(dicom_file(PatientName=SECRET))
        assert attack(opened, "search", SECRET[::-1]) == "done: 0"
    finally:
        opened.close()


def test_pixels_cannot_be_changed_once_they_are_answered(pool: ReaderPool) -> None:
    mammogram = pool.read(ReadRequest(b"attack:nothing"))
    attack(pool, "scribble")
    np.testing.assert_array_equal(mammogram.pixels, np.full((2, 3), 7, np.uint16))


def test_descriptors_that_a_reader_sends_are_dropped() -> None:
    opened = pool_of(1, deadline_s=0.5)
    try:
        attack(opened, "nothing")
        before = psutil.Process().num_fds()
        with pytest.raises(UnsuitableImage):
            attack(opened, "send-descriptors")
        opened._deadline_s = 20
        assert attack(opened, "nothing") == "done: nothing"
        assert psutil.Process().num_fds() <= before
    finally:
        opened.close()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def framed(message: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message


HONEST = Decoded.of(1, Mammogram(np.zeros((2, 3), np.uint16), None), written=True)


def changed(**values: object) -> bytes:
    return encode(msgspec.structs.replace(HONEST, **values))


def say(raw: bytes) -> ReadRequest:
    return ReadRequest(b"say:" + raw)


def test_a_lie_costs_the_reader_not_the_service(lied_to: ReaderPool) -> None:
    lied_to._idle[0]._number = 0
    before = lied_to._idle[0].process.pid
    with pytest.raises(UnreadableImage) as caught:
        lied_to.read(say(framed(changed(rows=0))))
    assert caught.value.code == "decode-failed"
    assert lied_to._idle[0].process.pid != before
    assert attack(lied_to, "nothing") == "done: nothing"


def test_a_pickle_is_not_opened(lied_to: ReaderPool, tmp_path: Path) -> None:
    bomb = framed(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(UnreadableImage):
        lied_to.read(say(bomb))
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_too_small_is_never_read_beyond(lied_to: ReaderPool) -> None:
    opened = ReaderPool(
        ReaderOptions(1, ReadLimits(max_pixels=10**9), 64, 20), COMMAND
    ).wait_until_ready()
    try:
        with pytest.raises(UnreadableImage) as caught:
            opened.read(say(framed(changed(rows=20_000, columns=20_000))))
        assert caught.value.code == "decode-failed"
    finally:
        opened.close()


def test_half_a_message_keeps_nobody_beyond_the_deadline() -> None:
    opened = pool_of(1, deadline_s=1)
    began = time.monotonic()

    def call() -> None:
        with pytest.raises(MammosegError):
            opened.read(say(b"\x40\0\0\0half"))

    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(0.2)
    # As at SIGTERM: what was begun is waited for.
    opened.close()
    caller.join()
    assert time.monotonic() - began < 8


def test_an_answer_before_it_is_asked_for_is_not_believed(lied_to: ReaderPool) -> None:
    lied_to._idle[0]._number = 0
    twice = framed(encode(HONEST)) * 2
    assert lied_to.read(say(twice)).rows == 2
    before = lied_to._idle[0].process.pid
    assert attack(lied_to, "nothing") == "done: nothing"
    assert lied_to._idle[0].process.pid != before


@linux_with("seals")
def test_what_is_on_is_told(pool: ReaderPool) -> None:
    said = pool.sandbox()
    assert set(said["readers"]) == {
        *("descriptors", "not-dumpable", "no-new-privileges", "landlock", "no-capabilities"),
        *("ends-with-service", "seccomp"),
    }
    assert said["service"]["not-dumpable"] == said["service"]["sealed-memory"] == sandbox.ON
