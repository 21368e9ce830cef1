"""The buffer keeps what it was given, in order, up to its bound, and from others."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.audit.buffer import FILE, AuditBuffer, check_buffer
from service.errors import StartupError
from service.system.sqlite_file import FileReplaced

pytestmark = pytest.mark.unit


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[AuditBuffer]:
    buffer = AuditBuffer(tmp_path, 2**20)
    yield buffer
    buffer.close()


def numbers(buffer: AuditBuffer) -> list[int]:
    return [each.number for each in buffer.after(0, 10**6)]


def test_messages_come_out_in_the_order_they_went_in(buffer: AuditBuffer) -> None:
    for number in range(5):
        assert buffer.add("head", b"%d" % number) == (True, 0)
    assert [each.content for each in buffer.after(0, 3)] == [b"0", b"1", b"2"]
    assert [each.content for each in buffer.after(3, 9)] == [b"3", b"4"]


def test_what_is_forgotten_is_gone_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    buffer = AuditBuffer(tmp_path, 2**20)
    buffer.add("head", b"a")
    buffer.forget(1)
    buffer.close()
    buffer = AuditBuffer(tmp_path, 2**20)
    buffer.add("head", b"b")
    assert numbers(buffer) == [2]
    buffer.close()


def test_nothing_of_a_forgotten_message_is_left_on_the_disk(tmp_path: Path) -> None:
    buffer = AuditBuffer(tmp_path, 2**20)
    for _ in range(50):
        buffer.add("head", b"ZANARIE" * 100)
    buffer.sync()
    assert any(b"ZANARIE" in file.read_bytes() for file in tmp_path.iterdir())
    buffer.forget(50)
    assert not any(b"ZANARIE" in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / FILE).stat().st_size < 2**16
    buffer.close()


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    buffer = AuditBuffer(folder, 2**20)
    buffer.add("head", b"a")
    files = list(folder.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in files:
        file.chmod(0o664)
    AuditBuffer(folder, 2**20).close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    buffer.close()


def test_at_the_bound_what_is_there_stays_and_what_comes_is_counted(tmp_path: Path) -> None:
    buffer = AuditBuffer(tmp_path, 1000)
    added = [buffer.add("", bytes(300)) for _ in range(5)]
    assert [each.is_kept for each in added] == [True, True, False, False, False]
    assert [each.lost for each in added] == [0, 0, 1, 2, 3]
    assert numbers(buffer) == [1, 2]
    buffer.forget(1)
    assert buffer.add("", bytes(300)) == (True, 3)
    buffer.add_of_bound("", b"3 were lost", of_stranger=False, is_over=True)
    buffer.forget(3)
    assert buffer.add("", bytes(300)) == (True, 0)
    buffer.close()


def test_strangers_fill_a_half_at_most(tmp_path: Path) -> None:
    buffer = AuditBuffer(tmp_path, 1000)
    refused = [buffer.add("", bytes(100), of_stranger=True).is_kept for _ in range(9)]
    assert refused.count(True) == 3
    assert buffer.add("", bytes(100)) == (True, 0)
    buffer.forget(10)
    # Those who were lost are told of where they fit again.
    assert buffer.add("", bytes(100), of_stranger=True) == (True, 6)
    buffer.close()


def test_threads_and_connections_share_it(tmp_path: Path) -> None:
    buffers = [AuditBuffer(tmp_path, 2**20) for _ in range(2)]

    def add(buffer: AuditBuffer) -> None:
        for _ in range(25):
            assert buffer.add("head", b"content").is_kept

    threads = [threading.Thread(target=add, args=[each]) for each in buffers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(buffers[0]) == list(range(1, 101))
    for each in buffers:
        each.close()


def test_a_buffer_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartupError, match="later version"):
        AuditBuffer(tmp_path, 2**20)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o1777, 0o701])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    folder.chmod(mode)
    for look in (lambda: AuditBuffer(folder, 2**20), lambda: check_buffer(folder)):
        with pytest.raises(StartupError, match=rf"audit folder .* open to others .*{mode:04o}"):
            look()
    assert list(folder.iterdir()) == []


def test_what_is_no_buffer_ends_the_start_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(StartupError, match="audit buffer"):
        AuditBuffer(tmp_path, 2**20)
    with pytest.raises(StartupError, match="audit buffer"):
        AuditBuffer(tmp_path / FILE / "below", 2**20)


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_what_it_holds_is_brought_to_the_file_that_takes_its_name(
    tmp_path: Path, is_made_anew: bool
) -> None:
    buffer, other = AuditBuffer(tmp_path, 2**20), AuditBuffer(tmp_path, 2**20)
    for number in range(3):
        buffer.add("head", b"%d" % number)
    for file in tmp_path.iterdir():
        file.unlink()
    later = AuditBuffer(tmp_path, 2**20) if is_made_anew else buffer
    if is_made_anew:
        later.add("head", b"later")
    other.add("head", b"3")
    # What both had open is brought by one of them.
    buffer.add("head", b"4")
    contents = [each.content for each in AuditBuffer(tmp_path, 2**20).after(0, 9)]
    assert contents == [b"later"] * is_made_anew + [b"0", b"1", b"2", b"3", b"4"]


def test_a_number_of_the_file_that_was_there_before_forgets_nothing(
    tmp_path: Path, buffer: AuditBuffer
) -> None:
    buffer.add("head", b"sent")
    (sent,) = numbers(buffer)
    for file in tmp_path.iterdir():
        file.unlink()
    buffer.add("head", b"not sent")
    with pytest.raises(FileReplaced):
        buffer.forget(sent)
    # Once is enough for a sender to begin anew.
    assert [each.content for each in buffer.after(0, 9)] == [b"sent", b"not sent"]
