"""The inbox's database is gone, empty or older than its files, which look years old."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.attack.attack import Attack, Sent
from tests.attack.target import Target, mammogram

IMAGES = 3
LONG_AGO = 1e9


def _lost(damage: Callable[[Path, Path], None]) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        target.destination.reply = lambda uid, times: (503, b"")
        backup, sent = target.folder / "backup", 0
        for number in range(IMAGES):
            file = mammogram(number)
            sent += len(file)
            status = target.store(file)
            if status != 200:
                return Sent(number, sent, (f"a mammogram was answered {status}",))
            if number == 0:
                backup.mkdir()
                for path in target.inbox.glob("*.sqlite3*"):
                    shutil.copy(path, backup)
        target.kill()
        target.destination.received.clear()
        damage(target.inbox, backup)
        for path in target.inbox.rglob("*.dcm"):
            os.utime(path, (LONG_AGO, LONG_AGO))
        target.destination.reply = Target.accepted
        target.start()
        return Sent(IMAGES, sent, target.missing_results(IMAGES))

    return run


def _delete(inbox: Path, backup: Path) -> None:
    for path in inbox.glob("*.sqlite3*"):
        path.unlink()


def _empty(inbox: Path, backup: Path) -> None:
    for path in inbox.glob("*.sqlite3*"):
        path.write_bytes(b"")


def _older(inbox: Path, backup: Path) -> None:
    _delete(inbox, backup)
    for path in backup.iterdir():
        shutil.copy(path, inbox)


ATTACKS = (
    Attack(
        "database-missing",
        "kill -9, database deleted",
        _lost(_delete),
        alone=True,
    ),
    Attack("database-empty", "kill -9, database emptied", _lost(_empty), alone=True),
    Attack(
        "database-older",
        "kill -9, an older database",
        _lost(_older),
        alone=True,
    ),
)
