"""What bounds this process, as made-up files tell of it."""

import resource
from pathlib import Path

import pytest

from service.system.cgroups import Tasks
from service.system.process_limits import TaskBound, memory_bounds_mib, task_bounds

pytestmark = pytest.mark.unit


def test_the_least_memory_of_all_groups_above_counts(tmp_path: Path) -> None:
    info = tmp_path / "meminfo"
    info.write_text("MemTotal:       16384000 kB\nMemFree: 1 kB\n")
    assert memory_bounds_mib([4 << 30, 3 << 30], info) == {
        "the container": 3072,
        "the machine": 16000,
    }
    assert memory_bounds_mib([], tmp_path / "absent") == {}


def test_tasks_of_others_are_counted_against_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, threads in (("self", 3), ("17", 3), ("18", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status").write_text(f"Name: x\nThreads:\t{threads}\n")
    user = tmp_path.stat().st_uid
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr("service.system.process_limits._owner", lambda _: user or 1)
    groups = [Tasks(50, 13)]
    of_the_group = TaskBound("the container (pids.max)", 50, 10)
    of_the_user = TaskBound("the user's limit (ulimit -u)", 100, 5)
    found = list(task_bounds(groups, tmp_path, user=user or 1))
    assert found == [of_the_group, of_the_user]
    # For root that limit does not hold.
    assert list(task_bounds(groups, tmp_path, user=0)) == [of_the_group]
