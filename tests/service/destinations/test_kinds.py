"""What every kind of destination keeps. A further kind is a further row here."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.destinations import store as store_client
from service.destinations.destination import ClientOptions
from service.destinations.registry import KINDS
from service.dimse.store_status import NotDelivered
from service.outputs.dicom.registry import syntaxes_of
from tests.ports import free_port
from tests.service.destinations.c_store import dataset_of
from tests.store_scp import store_scp
from tests.stow_server import stored, stow_server
from tests.waiting import HANG_S, not_held_up

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class Server:
    """A server of one kind: where it is, what came, and what it does before it answers."""

    url: str
    received: Callable[[], list[bytes]]
    wait_for: Callable[[threading.Event], None]


@contextmanager
def dicomweb() -> Iterator[Server]:
    with stow_server() as server:

        def wait_for(event: threading.Event) -> None:
            server.reply = lambda uid, times: stored(uid) if event.wait(10 * HANG_S) else None

        files = server.received
        yield Server(
            server.url,
            lambda: [dataset_of(file) for came in list(files.values()) for file in came],
            wait_for,
        )


@contextmanager
def archive() -> Iterator[Server]:
    with store_scp() as server:

        def wait_for(event: threading.Event) -> None:
            server.status = lambda uid, times: 0x0000 if event.wait(10 * HANG_S) else 0x0110

        received = server.received
        yield Server(
            server.url(),
            lambda: [data for came in list(received.values()) for data in came],
            wait_for,
        )


SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "stow": dicomweb,
    "dicom": archive,
}
ABSENT = {"stow": "http://127.0.0.1:{port}/dicom-web", "dicom": "dicom://ARCHIVE@127.0.0.1:{port}"}


@pytest.fixture
def file(tmp_path: Path, results: dict[str, bytes]) -> Path:
    path = tmp_path / "result.dcm"
    path.write_bytes(results["seg"])
    return path


async def store(kind: str, url: str, file: Path) -> int | None:
    options = ClientOptions("MAMMOSEG", syntaxes_of(["seg"]), lambda report: None)
    async with KINDS[kind].model_validate({"url": url}).client(options) as client:
        await client.rest()
        return await client.store(file)


def test_every_kind_has_a_row() -> None:
    assert SERVERS.keys() == ABSENT.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_result_arrives_byte_for_byte(kind: str, file: Path) -> None:
    with SERVERS[kind]() as server:
        assert asyncio.run(store(kind, server.url, file)) is None
        assert server.received() == [dataset_of(file.read_bytes())]


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_there_is_not_reachable_and_may_be_later(kind: str, file: Path) -> None:
    with pytest.raises(NotDelivered) as refused:
        asyncio.run(store(kind, ABSENT[kind].format(port=free_port()), file))
    error = refused.value
    assert (error.code, error.permanent, error.reachable) == ("unreachable", False, False)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_file_that_is_gone_is_the_files_fault(kind: str, tmp_path: Path) -> None:
    with SERVERS[kind]() as server, pytest.raises(FileNotFoundError):
        asyncio.run(store(kind, server.url, tmp_path / "none.dcm"))


@pytest.mark.parametrize("kind", SERVERS)
def test_who_is_cancelled_lets_go_at_once(
    kind: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    async def cancelled(server: Server) -> None:
        storing = asyncio.create_task(store(kind, server.url, file))
        ends = time.monotonic() + HANG_S
        while not server.received():
            assert time.monotonic() < ends
            await asyncio.sleep(0.01)
        storing.cancel()
        with not_held_up(), pytest.raises(asyncio.CancelledError):
            await storing

    monkeypatch.setattr(store_client, "END_S", 10 * HANG_S)
    with SERVERS[kind]() as server:
        server.wait_for(answered)
        try:
            asyncio.run(cancelled(server))
        finally:
            answered.set()
