"""What ends `mammoseg segment` or `mammoseg archive` is said, and the same command goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.batch.results import NotWritten
from service.batch.run import EngineFailed
from service.errors import DeviceFailed
from tests.service.commands.runs import invoke, rows, table

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("identity")]


def full(*_: object) -> None:
    raise NotWritten("results cannot be written: No space left on device")


def lost(*_: object, **__: object) -> None:
    raise DeviceFailed


def failed(*_: object) -> None:
    raise EngineFailed("the Ray cluster failed (NodeDiedError)")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


ARCHIVE_JOB = "service.batch.archive.job"
FULL = "No space left on device; once that is over, the same command goes on"
LOST = "the device failed; the same command"
INTERRUPTED = "interrupted; the same command goes"
FORMATS = {"segment": "json,csv", "archive": "json"}
"""One file an image; the tables of an archive are always made."""


@pytest.mark.parametrize(
    ("command", "where", "fault", "status", "said"),
    [
        ("segment", "service.batch.job.write_files", full, 4, FULL),
        ("segment", "service.segmenter.Segmenter.segment", lost, 3, LOST),
        ("segment", "service.batch.job.Job._take", interrupted, 130, INTERRUPTED),
        ("archive", "service.batch.archive.ledger.write_files", full, 4, FULL),
        ("archive", f"{ARCHIVE_JOB}.write_tables", full, 4, FULL),
        ("archive", "service.segmenter.Segmenter.segment", lost, 3, LOST),
        ("archive", f"{ARCHIVE_JOB}.ArchiveJob._take", failed, 3, "the Ray cluster failed"),
        ("archive", f"{ARCHIVE_JOB}.ArchiveJob._take", interrupted, 130, INTERRUPTED),
    ],
)
def test_what_ends_a_run_is_said_and_the_next_goes_on(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    where: str,
    fault: Callable[..., None],
    status: int,
    said: str,
) -> None:
    if command == "archive":
        pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")
    out = tmp_path / "out"
    call = (command, archive, "--out", out, "--format", FORMATS[command])
    with monkeypatch.context() as broken:
        broken.setattr(where, fault)
        result = invoke(*call)
    assert result.exit_code == status, result.output
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert not list(out.rglob("*.partial"))
    assert invoke(*call).exit_code == 0
    scores = rows(out) if command == "segment" else table(out, "scores")
    assert len(scores) == len(list(out.glob("*/**/*.json"))) == 6
