"""Say whether a locked package has a known weakness: python requirements/audit.py LOCK ...

Needs `pip-audit` beside this Python and a database that it can reach; where there is none, it says
that nothing was audited, which is no failure. A package that the database does not know is one.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def audited(lock: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package of a lock, nothing where it can ask nobody."""
    program = Path(sys.executable).with_name("pip-audit")
    command = [program, "--disable-pip", "--progress-spinner=off", "--format=json", "-r", lock]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(said.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        return []
    return packages


def verdict(packages: list[dict[str, Any]]) -> tuple[bool, list[str]]:
    """Return whether a lock may be used, and why not, or how much is known of it."""
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if len(unknown) == len(packages):
        return True, ["skipped, no database of weaknesses can be reached"]
    weak = [one for one in packages if one.get("vulns")]
    said = [f"{one['name']} {one['version']}: {_names(one['vulns'])}" for one in weak]
    said += [f"{name} is not in the database" for name in unknown]
    said += [f"{len(packages)} packages, {len(weak)} weak, {len(unknown)} unknown"]
    return not weak and not unknown, said


def _names(found: list[dict[str, Any]]) -> str:
    return ", ".join(str(one["id"]) for one in found)


def main() -> None:
    """Look at each lock; exits with 1 where one holds a package that is weak or unknown."""
    every = True
    for lock in sys.argv[1:]:
        well, said = verdict(audited(lock))
        every &= well
        for line in said:
            print(f"{lock}: {line}")  # noqa: T201
    sys.exit(not every)


if __name__ == "__main__":
    main()
