"""`python -m docs.generator`: stage the pages, then have Zensical make the site of them."""

import shutil
import subprocess
import sys
from pathlib import Path

from docs.generator.staging import stage

ROOT = Path(__file__).parents[2]
CONFIGURATION = "mkdocs.yml"


def build(root: Path = ROOT, place: Path = ROOT) -> int:
    """Build the site as mkdocs.yml says, in `build/site` below a place; return the exit status.

    A warning is a failure: a page that is not there, an anchor that is not on it.
    """
    if place != root:
        shutil.copy(root / CONFIGURATION, place)
    pages = stage(root, place / "build" / "site-source")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    made = subprocess.run(command, cwd=place, capture_output=True, text=True)
    said = made.stdout + made.stderr
    log = place / "build" / "site.log"
    log.write_text(said, encoding="utf-8")
    if made.returncode or "Warning" in said:
        sys.stderr.write("".join(said.splitlines(keepends=True)[-30:]))
        sys.stderr.write(f"mammoseg: the site has faults, named above; the log is {log}\n")
        return 1
    sys.stdout.write(f"{pages} pages; open {place / 'build' / 'site' / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(build())
