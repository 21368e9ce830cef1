"""What lies in a run's folder before its first step."""

import shutil
import subprocess
from pathlib import Path

from model_export.config_file import CONFIG

LEFT_OVER = ("start.json", "members.json", CONFIG, "git.txt", "curves.png")
"""Files that a run which ended before its first checkpoint leaves, beside what it has mined."""

LOGS = ("csv", "tensorboard")


def begin(run: Path) -> None:
    """Make a folder ready for a new run: nothing of an older one is taken over.

    Raises
    ------
    ValueError
        It holds checkpoints.
    """
    checkpoints = sorted(one.name for one in (run / "checkpoints").glob("*.ckpt"))
    if checkpoints:
        raise ValueError(
            f"{run} holds a run already ({', '.join(checkpoints)}): go on with --resume, delete "
            "it, or choose another folder"
        )
    for path in [*run.glob("mined-*.json"), *(run / name for name in LEFT_OVER)]:
        path.unlink(missing_ok=True)
    for name in LOGS:
        shutil.rmtree(run / name, ignore_errors=True)
    run.mkdir(parents=True, exist_ok=True)


def git_state() -> str:
    """Return the commit of this package and what differs from it; empty outside a checkout."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--short"])
    here = Path(__file__).parent
    try:
        results = [
            subprocess.run(one, capture_output=True, text=True, cwd=here) for one in commands
        ]
    except OSError:
        return "git could not be asked\n"
    return "".join(result.stdout for result in results)
