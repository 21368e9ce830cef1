from pathlib import Path

import pytest

from service.system import cgroups as module
from service.system.cgroups import Tasks, memory_limits, task_limits
from service.system.cores import available_cores

pytestmark = pytest.mark.unit

UNLIMITED = 2**63 - 4096
"""What version 1 says where no limit is set."""


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(module, "OWN", tmp_path / "own")
    monkeypatch.setattr(module, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(module, "USUAL_MOUNT", tmp_path)
    return tmp_path


class Version1:
    """Hierarchies of version 1, as mountinfo and the process's own groups tell of them."""

    def __init__(self, folder: Path, own: str, root: str = "/") -> None:
        (folder / "own").write_text(
            f"11:cpu,cpuacct:{own}\n10:memory:{own}\n9:pids:{own}\n1:name=systemd:{own}\n0::{own}\n"
        )
        mounts = ["20 1 0:1 / / rw,relatime shared:1 - ext4 /dev/root rw"]
        for number, names in enumerate(("cpu,cpuacct", "memory", "pids"), 30):
            at = folder / names
            at.mkdir()
            mounts.append(
                f"{number} 20 0:{number} {root} {at} rw,nosuid shared:{number} master:1 - cgroup "
                f"cgroup rw,{names}"
            )
        mounts.append(f"40 20 0:40 / {folder}/unified rw - cgroup2 cgroup2 rw")
        (folder / "mounts").write_text("\n".join(mounts) + "\n")
        self.folder = folder

    def put(self, name: str, value: int, group: str = "") -> None:
        """Say something of a group below what is mounted."""
        names = {"cpu": "cpu,cpuacct"}
        controller = name.partition(".")[0]
        place = self.folder / names.get(controller, controller) / group
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{value}\n")

    def quota(self, value: int, group: str = "") -> None:
        """Give so many microseconds in each tenth of a second."""
        self.put("cpu.cfs_quota_us", value, group)
        self.put("cpu.cfs_period_us", 100_000, group)


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


@pytest.mark.parametrize("root", ["/docker/abc", "/"])
def test_the_limits_of_version_1_count(cgroups: Path, root: str) -> None:
    # Docker mounts the own group as the root; the process reads the path that it has outside.
    groups = Version1(cgroups, "/docker/abc", root)
    own = "" if root != "/" else "docker/abc"
    groups.quota(-1, own)
    groups.put("memory.limit_in_bytes", UNLIMITED, own)
    assert (available_cores(), list(memory_limits()), list(task_limits())) == (8, [], [])
    groups.quota(150_000, own)
    groups.put("memory.limit_in_bytes", 900 << 20, own)
    groups.put("pids.max", 10, own)
    groups.put("pids.current", 4, own)
    assert available_cores() == 2
    assert list(memory_limits()) == [900 << 20]
    assert list(task_limits()) == [Tasks(10, 4)]


def test_groups_of_version_1_above_count_too(cgroups: Path) -> None:
    groups = Version1(cgroups, "/kubepods/pod1/c1")
    groups.quota(400_000, "kubepods/pod1/c1")
    groups.quota(300_000, "kubepods/pod1")
    groups.quota(-1, "kubepods")
    groups.put("memory.limit_in_bytes", 3 << 30, "kubepods/pod1/c1")
    groups.put("memory.limit_in_bytes", 2 << 30, "kubepods/pod1")
    groups.put("memory.limit_in_bytes", 1 << 30, "kubepods/pod2")
    assert available_cores() == 3
    assert sorted(memory_limits()) == [2 << 30, 3 << 30]


def test_a_namespace_of_its_own_sees_its_group_as_the_root(cgroups: Path) -> None:
    groups = Version1(cgroups, "/", "/")
    groups.quota(100_000)
    assert available_cores() == 1


@pytest.mark.parametrize("own", ["/../../host", "/elsewhere"])
def test_a_group_of_version_1_outside_of_what_is_seen_is_not_followed(
    cgroups: Path, own: str
) -> None:
    groups = Version1(cgroups, own, "/docker/abc")
    groups.quota(200_000)
    groups.quota(100_000, "elsewhere")
    assert available_cores() == 2


def test_a_mount_whose_name_has_a_space_is_found(cgroups: Path) -> None:
    place = cgroups / "of the host"
    place.mkdir()
    at = str(place).replace(" ", "\\040")
    (cgroups / "mounts").write_text(f"30 20 0:30 / {at} rw - cgroup2 cgroup2 rw\n")
    (place / "cpu.max").write_text("100000 100000")
    assert available_cores() == 1
