"""TLS handshakes on both event loops, with clients that do what they should not."""

import asyncio
import socket
import ssl
import struct
import sys
from pathlib import Path

import pytest

from service.errors import StartupError
from service.tls import TlsOptions, server_context
from tests.certificates import DAY, Authority, Issued
from tests.service.connections.tls_door import LOOPS, Door, Echo, behind_a_door, hello
from tests.waiting import HANG_S, not_held_up

pytestmark = pytest.mark.integration
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Issued:
    return authority.issue("server")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_said_comes_back(loop: str, authority: Authority, server: Issued) -> None:
    async def scenario(door: Door) -> None:
        answers = await asyncio.gather(*(door.echoes(authority) for _ in range(20)))
        assert answers == [b"hello"] * 20
        assert len(door.handshakes) == 0

    behind_a_door(loop, TlsOptions(server.certificate, server.key), scenario)


def test_a_hello_that_comes_with_the_connection_is_not_lost(
    loop: str, authority: Authority, server: Issued
) -> None:
    first = hello(authority)

    async def scenario(door: Door) -> None:
        for cut in (0, 1, 5, 100):
            pieces = [piece for piece in (first[:cut], first[cut:]) if piece]

            def talk(pieces: list[bytes] = pieces) -> int:
                with door.connect() as wire:
                    for piece in pieces:
                        wire.sendall(piece)
                    return wire.recv(4096)[0]

            # 22 is a handshake's record.
            assert await asyncio.to_thread(talk) == 22

    behind_a_door(loop, TlsOptions(server.certificate, server.key), scenario)


def test_who_speaks_no_tls_is_told_off_at_once(
    loop: str, authority: Authority, server: Issued
) -> None:
    async def scenario(door: Door) -> None:
        for words in (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\0" * 999, b"\x16\x03\x01\xff" * 999):
            with not_held_up():
                await door.says(words)
        assert Echo.made == 0 and len(door.handshakes) == 0
        assert await door.echoes(authority) == b"hello"

    behind_a_door(
        loop, TlsOptions(server.certificate, server.key, handshake_s=10 * HANG_S), scenario
    )


def test_who_says_nothing_or_drips_is_closed_in_time(
    loop: str, authority: Authority, server: Issued
) -> None:
    first = hello(authority)

    async def scenario(door: Door) -> None:
        dripped = [first[n : n + 1] for n in range(20)]
        says = (door.says(), door.says(first[:50]), door.says(*dripped, pause_s=0.1))
        with not_held_up():
            await asyncio.gather(*says)
        assert Echo.made == 0 and len(door.handshakes) == 0

    behind_a_door(loop, TlsOptions(server.certificate, server.key, handshake_s=0.5), scenario)


def test_who_leaves_in_the_middle_leaves_nothing_behind(
    loop: str, authority: Authority, server: Issued
) -> None:
    first = hello(authority)

    async def scenario(door: Door) -> None:
        def leave(words: bytes) -> None:
            with door.connect() as wire:
                wire.sendall(words)

        for words in (b"", first[:20], first):
            await asyncio.gather(*(asyncio.to_thread(leave, words) for _ in range(10)))
        await asyncio.sleep(2.2)
        assert Echo.made == 0 and len(door.handshakes) == 0

    behind_a_door(loop, TlsOptions(server.certificate, server.key, handshake_s=1), scenario)


def test_whoever_is_let_in_is_also_seen_to_leave(
    loop: str, authority: Authority, server: Issued
) -> None:
    """However it leaves: else a connection would be counted for ever."""
    context = ssl.create_default_context(cafile=authority.file)

    async def scenario(door: Door) -> None:
        def come_and_go(number: int) -> None:
            plain = door.connect()
            if number % 2:
                # Reset, with no word.
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with context.wrap_socket(plain, server_hostname="localhost") as wire:
                if number % 3:
                    wire.sendall(b"hello")

        await asyncio.gather(*(asyncio.to_thread(come_and_go, number) for number in range(60)))
        async with asyncio.timeout(HANG_S):
            while Echo.lost < Echo.made or len(door.handshakes):
                await asyncio.sleep(0.05)

    behind_a_door(loop, TlsOptions(server.certificate, server.key), scenario)


def test_of_too_many_handshakes_the_oldest_is_broken_off(
    loop: str, authority: Authority, server: Issued
) -> None:
    async def scenario(door: Door) -> None:
        silent = [await asyncio.to_thread(door.connect) for _ in range(30)]
        try:
            assert await door.echoes(authority) == b"hello"
            assert len(door.handshakes) <= 4
            assert Echo.made == 1
        finally:
            for wire in silent:
                wire.close()

    behind_a_door(loop, TlsOptions(server.certificate, server.key), scenario, most=4)


def test_a_client_without_the_right_certificate_is_refused(
    loop: str, authority: Authority, server: Issued, tmp_path: Path
) -> None:
    right = authority.issue("client", to_client=True)
    stranger = Authority(tmp_path, "stranger").issue("foreign", to_client=True)
    expired = authority.issue("expired", to_client=True, ends_in=-DAY)
    options = TlsOptions(server.certificate, server.key, authority.file)

    async def scenario(door: Door) -> None:
        assert await door.echoes(authority, right) == b"hello"
        for wrong in (None, stranger, expired, server):
            assert await door.echoes(authority, wrong) != b"hello"
        assert Echo.made == 1

    behind_a_door(loop, options, scenario)


def test_new_files_count_for_new_connections_and_open_ones_stay(
    loop: str, server: Issued, tmp_path: Path
) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    files = first.issue("changing")
    options = TlsOptions(files.certificate, files.key)

    async def scenario(door: Door) -> None:
        context = ssl.create_default_context(cafile=first.file)
        opened = await asyncio.to_thread(
            lambda: context.wrap_socket(door.connect(), server_hostname="localhost")
        )
        with opened:
            old_key = files.key.read_bytes()
            second.issue("changing")
            new_key = files.key.read_bytes()
            # Certificate and key that go not together: the old ones stay.
            files.key.write_bytes(old_key)
            door.handshakes.contexts.look()
            assert await door.echoes(first) == b"hello"
            files.key.write_bytes(new_key)
            door.handshakes.contexts.look()
            assert await door.echoes(second) == b"hello"
            assert await door.echoes(first) == "CERTIFICATE_VERIFY_FAILED"
            await asyncio.to_thread(opened.sendall, b"still here")
            assert await asyncio.to_thread(opened.recv, 16) == b"still here"

    behind_a_door(loop, options, scenario)


def test_another_authority_of_clients_counts_at_once(loop: str, tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    server, trusted = first.issue("server"), tmp_path / "clients.pem"
    before, after = (one.issue(f"of-{n}", to_client=True) for n, one in enumerate((first, second)))
    trusted.write_bytes(first.file.read_bytes())
    options = TlsOptions(server.certificate, server.key, trusted)

    async def scenario(door: Door) -> None:
        assert await door.echoes(first, before) == b"hello"
        trusted.write_bytes(second.file.read_bytes())
        door.handshakes.contexts.look()
        assert await door.echoes(first, after) == b"hello"
        assert await door.echoes(first, before) != b"hello"

    behind_a_door(loop, options, scenario)


def test_old_versions_and_weak_ciphers_are_off(server: Issued) -> None:
    context = server_context(TlsOptions(server.certificate, server.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names and all("GCM" in name or "CHACHA20" in name for name in names)
    assert all(name.startswith("ECDHE-") for name in names)


def test_files_that_give_no_context_stop_the_start(
    authority: Authority, server: Issued, tmp_path: Path
) -> None:
    other = authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for options in (
        TlsOptions(server.certificate),
        TlsOptions(server.certificate, other.key),
        TlsOptions(tmp_path / "absent"),
        TlsOptions(empty, server.key),
        TlsOptions(server.certificate, server.key, empty),
        TlsOptions(server.certificate, server.key, tmp_path / "absent"),
    ):
        with pytest.raises(StartupError, match="TLS: "):
            server_context(options)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    server: Issued, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(server.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    )
    with pytest.raises(StartupError, match="TLS: "):
        server_context(TlsOptions(server.certificate, locked))
