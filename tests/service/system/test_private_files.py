"""Files that nobody else may open: whoever may read a lock file may hold its lock."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

import pytest

from service.audit.buffer import LOCK as AUDIT_LOCK
from service.audit.buffer import AuditBuffer
from service.audit.collector import CollectorFails
from service.audit.sender import Sender
from service.batch.archive.ledger import LOCK_NAME, Ledger
from service.batch.archive.ledger import NAME as LEDGER
from service.batch.folder_lock import open_locked
from service.batch.journal import NAME as JOURNAL
from service.inbox.files import Files
from service.inbox.work_lock import LOCK as WORK_LOCK
from service.inbox.work_lock import lock
from service.integration.cursor import Cursor
from service.telemetry.inference_line import InferenceLine
from service.telemetry.inference_log import open_inference_log
from tests.waiting import comes_true

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True, params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir(mode=0o700)
    return tmp_path / "private"


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def audit_lock(folder: Path) -> None:
    def away() -> None:
        raise CollectorFails("refused")

    with closing(AuditBuffer(folder, 2**20)) as buffer:
        sender = Sender(buffer, away)
        sender.start()
        assert comes_true((folder / AUDIT_LOCK).exists)
        assert sender.close()


def work_lock(folder: Path) -> None:
    held: IO[bytes] | None = lock(folder)
    assert held is not None and lock(folder) is None
    held.close()


def cursor(folder: Path) -> None:
    Cursor(folder / "cursor").save()


@pytest.mark.parametrize(
    ("make", "name"), [(audit_lock, AUDIT_LOCK), (work_lock, WORK_LOCK), (cursor, "cursor")]
)
@pytest.mark.parametrize("was_there", [False, True])
def test_locks_and_positions_are_for_their_owner_alone(
    folder: Path, make: Callable[[Path], None], name: str, was_there: bool
) -> None:
    if was_there and name != "cursor":
        (folder / name).touch(mode=0o666)
    make(folder)
    assert mode(folder / name) == 0o600


def test_what_the_inbox_takes_is_for_its_owner_alone(folder: Path) -> None:
    file, path = Files(folder).create()
    file.close()
    assert mode(path) == 0o600


def test_what_holds_a_folder_of_results_is_for_no_more_than_its_group(folder: Path) -> None:
    open_locked(folder, JOURNAL).close()
    Ledger(folder, {}).close()
    for name in (JOURNAL, LOCK_NAME, LEDGER):
        assert mode(folder / name) & 0o007 == 0 and mode(folder / name) & 0o600 == 0o600


def test_a_log_of_inferences_that_is_opened_anew_is_for_its_owner_alone(folder: Path) -> None:
    log = open_inference_log(file := folder / "lines")
    assert log is not None
    for number in range(3):
        log.write(cast(InferenceLine, [number]))
        assert mode(file) == 0o600
        file.rename(folder / f"lines.{number}")
    log.close()
    assert [(folder / f"lines.{number}").read_text() for number in range(3)] == [
        f"[{number}]\n" for number in range(3)
    ]


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o640), (0o640, 0o640), (0o666, 0o660)])
def test_of_a_log_that_is_there_its_group_keeps_what_it_was_given(
    folder: Path, before: int, after: int
) -> None:
    (folder / "lines").touch()
    (folder / "lines").chmod(before)
    log = open_inference_log(folder / "lines")
    assert log is not None and mode(folder / "lines") == after
    log.close()
