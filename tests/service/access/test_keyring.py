import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.access.keyring import LOOK_S, Keyring
from service.access.keys import ApiKey, KeysFileError, changing_keys, digest_of
from service.access.scopes import Scope
from tests.service.access.api_keys import key

pytestmark = pytest.mark.unit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def on(self) -> None:
        self.now += LOOK_S


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    with changing_keys(file) as keys:
        keys += [key("a", "alpha"), key("b", "beta")]
    return file


def names(ring: Keyring) -> list[str]:
    found = [ring.find(secret) for secret in ("alpha", "beta", "gamma")]
    return [one.name for one in found if one is not None]


def test_each_key_is_found_by_itself_and_no_other(file: Path) -> None:
    ring = Keyring(file)
    assert names(ring) == ["a", "b"]
    for wrong in ("", "alpha"[:-1], "alpha" * 2, "ALPHA", digest_of("alpha").hex()):
        assert ring.find(wrong) is None


def test_a_key_that_is_added_or_withdrawn_counts_within_a_second(file: Path) -> None:
    clock = Clock()
    ring = Keyring(file, clock)
    with changing_keys(file) as keys:
        keys[:] = [keys[1], key("c", "gamma")]
    clock.on()
    assert names(ring) == ["b", "c"]
    with changing_keys(file) as keys:
        keys.clear()
    clock.on()
    assert names(ring) == []


def test_between_two_looks_the_file_is_left_alone(file: Path) -> None:
    ring = Keyring(file, Clock())
    file.unlink()
    assert names(ring) == ["a", "b"]


def test_a_change_that_leaves_time_and_size_is_seen(file: Path) -> None:
    clock = Clock()
    ring = Keyring(file, clock)
    state = file.stat()
    # In place, as an editor does it, within one step of the clock.
    text = file.read_text()
    file.write_text(text.replace(digest_of("alpha").hex(), digest_of("gamma").hex()))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    clock.on()
    assert names(ring) == ["b", "a"]


def test_a_settled_file_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    clock = Clock()
    ring = Keyring(file, clock)
    monkeypatch.setattr("service.access.keyring.read_keys", lambda _: pytest.fail("read again"))
    clock.on()
    assert names(ring) == ["a", "b"]


def test_a_file_that_is_gone_holds_no_keys_until_it_is_back(file: Path) -> None:
    clock = Clock()
    ring = Keyring(file, clock)
    away = file.rename(file.with_suffix(".old"))
    clock.on()
    assert names(ring) == []
    away.rename(file)
    clock.on()
    assert names(ring) == ["a", "b"]


def test_a_broken_file_leaves_the_keys_that_were_read_last(file: Path) -> None:
    clock = Clock()
    ring = Keyring(file, clock)
    file.write_text("{")
    for _ in range(3):
        clock.on()
        assert names(ring) == ["a", "b"]
    file.unlink()
    with changing_keys(file) as keys:
        keys.append(key("c", "gamma"))
    clock.on()
    assert names(ring) == ["c"]


def test_a_file_that_could_not_be_read_is_tried_again_and_told_of_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    clock = Clock()
    ring = Keyring(file, clock)
    with changing_keys(file) as keys:
        del keys[0]
    with capture_logs() as logs:
        with monkeypatch.context() as disk:
            disk.setattr("service.access.keyring.read_keys", unreadable)
            for _ in range(3):
                clock.on()
                assert names(ring) == ["a", "b"]
        for _ in range(2):
            clock.on()
            assert names(ring) == ["b"]
    assert [line["event"] for line in logs] == ["keys-file-broken", "keys-read"]


def unreadable(_: Path) -> tuple[ApiKey, ...]:
    raise KeysFileError("the keys file cannot be read: Input/output error")


def test_a_service_does_not_start_with_a_broken_file(file: Path) -> None:
    file.write_text("{")
    with pytest.raises(KeysFileError):
        Keyring(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        Keyring(file)


def test_every_key_is_compared_whichever_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring(file)
    compared: list[bytes] = []

    def compare(held: bytes, given: bytes) -> bool:
        compared.append(held)
        return held == given

    monkeypatch.setattr("hmac.compare_digest", compare)
    for secret in ("alpha", "beta", "gamma"):
        compared.clear()
        ring.find(secret)
        assert compared == [digest_of("alpha"), digest_of("beta")]


def test_a_mounted_secret_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """As Kubernetes does it: the file is a link through a folder that is a link."""
    for version, secret in (("1", "alpha"), ("2", "beta")):
        (tmp_path / version).mkdir()
        with changing_keys(tmp_path / version / "keys.json") as keys:
            keys.append(
                ApiKey("a", digest_of(secret), frozenset({Scope.SEGMENT}), key("a").created)
            )
    (tmp_path / "data").symlink_to("1")
    (tmp_path / "keys.json").symlink_to("data/keys.json")
    clock = Clock()
    ring = Keyring(tmp_path / "keys.json", clock)
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "data")
    clock.on()
    assert ring.find("alpha") is None and ring.find("beta") is not None
