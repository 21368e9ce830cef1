from pathlib import Path

import pytest

from service import cores
from service.cores import available_cores

pytestmark = pytest.mark.unit


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "OWN_CGROUP", tmp_path / "own")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("x", 8), ("9900000 100000", 8)],
)
def test_the_containers_quota_counts(cgroups: Path, text: str, expected: int) -> None:
    (cgroups / "cpu.max").write_text(text)
    assert available_cores() == expected


@pytest.mark.parametrize("own", ["0::/system.slice/mammoseg.service\n", "1:cpu:/\n0::/a/b\n"])
def test_the_least_quota_of_all_groups_above_counts(cgroups: Path, own: str) -> None:
    (cgroups / "own").write_text(own)
    folder = cgroups.joinpath(*own.strip().rpartition("::/")[2].split("/"))
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("400000 100000")
    assert available_cores() == 4
    (folder.parent / "cpu.max").write_text("300000 100000")
    assert available_cores() == 3
    (folder / "cpu.max").write_text("200000 100000")
    assert available_cores() == 2


def test_a_group_outside_of_what_is_seen_is_not_followed(cgroups: Path) -> None:
    (cgroups / "own").write_text("0::/../../host\n")
    (cgroups / "cpu.max").write_text("100000 100000")
    assert available_cores() == 1


def test_where_nothing_is_told_the_affinity_counts(cgroups: Path) -> None:
    assert available_cores() == 8
