"""The limits of the control groups that this process is in, of version 1 and 2 alike.

A container's runtime, Kubernetes and systemd set them. The limit of every group above holds too: in
a container the own group is often the root of what is seen, under systemd it lies deeper. Where
version 1 has a controller (RHEL 8, Amazon Linux 2), version 2 has it not, and the other way round.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

OWN = Path("/proc/self/cgroup")
MOUNTS = Path("/proc/self/mountinfo")
USUAL_MOUNT = Path("/sys/fs/cgroup")
"""Where version 2 is looked for if no mount is told."""

NO_LIMIT = 2**60
"""From here on a limit in bytes is none: version 1 says 2^63, less a page."""

Controller = Literal["cpu", "memory", "pids"]


class Tasks(NamedTuple):
    """What a group says of processes and threads.

    Attributes
    ----------
    limit
        How many there may be.
    held
        How many there are.
    """

    limit: int
    held: int


def cpu_quotas() -> Iterator[float]:
    """Yield how many cores each group that has a quota may use."""
    for folder in group_folders("cpu"):
        quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota is None or period is None:
            # Version 2: "<microseconds> <period>", or "max <period>".
            quota, period = map(_parsed, (*text_of(folder / "cpu.max").split(), "", "")[:2])
        if quota is not None and quota > 0 and period:
            yield quota / period


def memory_limits() -> Iterator[int]:
    """Yield how many bytes each group that has a limit may hold."""
    for folder in group_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _number(folder / name)
            if limit is not None and 0 <= limit < NO_LIMIT:
                yield limit


def task_limits() -> Iterator[Tasks]:
    """Yield how many processes and threads each group that has a limit may have."""
    for folder in group_folders("pids"):
        if (limit := _number(folder / "pids.max")) is not None:
            yield Tasks(limit, _number(folder / "pids.current") or 0)


def group_folders(controller: Controller) -> Iterator[Path]:
    """Yield the folder of the own group and of each above it, as far as they are mounted."""
    own = dict(_own_groups()) or {"": "/"}
    for root, mount, of in _mounts():
        for hierarchy in {"", controller} & of & own.keys():
            below = _below(own[hierarchy], root)
            for depth in range(len(below), -1, -1):
                yield mount.joinpath(*below[:depth])


def _own_groups() -> Iterator[tuple[str, str]]:
    """Yield controllers with the path of the own group (cgroups(7)); "" is version 2."""
    for line in text_of(OWN).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield from ((controller, path) for controller in controllers.split(","))


def _mounts() -> Iterator[tuple[str, Path, set[str]]]:
    """Yield of each hierarchy its visible root, where that is mounted, and its controllers."""
    found = False
    for line in text_of(MOUNTS).splitlines():
        # proc_pid_mountinfo(5): optional fields end with a hyphen; the last are the superblock's.
        fields, _, of_filesystem = line.partition(" - ")
        words, filesystem = fields.split(), of_filesystem.split()
        if len(words) < 5 or len(filesystem) < 3 or filesystem[0] not in ("cgroup", "cgroup2"):
            continue
        found = True
        of = {""} if filesystem[0] == "cgroup2" else set(filesystem[2].split(",")) - {""}
        yield _unescaped(words[3]), Path(_unescaped(words[4])), of
    if not found:
        yield "/", USUAL_MOUNT, {""}


def _below(own: str, root: str) -> list[str]:
    """Return the way from what is mounted down to the own group; none where it leads elsewhere.

    A container sees its group mounted as the root of the hierarchy, and reads of itself the path
    that it has outside, or `/` if it has a namespace of its own.
    """
    parts, above = ([part for part in path.split("/") if part] for path in (own, root))
    below = parts[len(above) :] if parts[: len(above)] == above else []
    return [] if ".." in below else below


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _number(file: Path) -> int | None:
    return _parsed(text_of(file).strip())


def _parsed(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def text_of(file: Path) -> str:
    """Return what a file of the kernel says; nothing where there is none, or it is not ours."""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
