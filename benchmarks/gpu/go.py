"""The one command on the GPU machine: python3 go.py BUNDLES OUT [--stand-in] [--short].

Joins the bundles, installs the wheels beside what the machine has, and takes the table. Standard
library only. Nothing is fetched; each step ends in its time, and what failed is a row of the table.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from pathlib import Path

MINUTES = 10.0


def main() -> int:
    """Do all of it; the exit status is 0 where the table was written."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("bundles", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--stand-in", action="store_true", help="rehearse on the CPU")
    asked.add_argument("--short", action="store_true", help="few requests, the first views only")
    asked.add_argument("--only", action="append", default=[], metavar="STEP", help="not every step")
    asked.add_argument("--minutes", type=float, default=MINUTES)
    given = asked.parse_args()
    ends = time.monotonic() + 60 * given.minutes - 15
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mammoseg-gpu-") as scratch:
        python, environment = prepared(given.bundles, Path(scratch))
        command = [str(python), "-m", "benchmarks.gpu", "--inputs", f"{scratch}/files"]
        command += ["--out", str(given.out.resolve())]
        command += ["--seconds", str(round(ends - time.monotonic()))]
        command += [
            f"--{name}" for name in ("stand-in", "short") if vars(given)[name.replace("-", "_")]
        ]
        command += [f"--only={step}" for step in given.only]
        with (given.out / "log.txt").open("wb") as log:
            run = subprocess.Popen(
                command, cwd=f"{scratch}/tree", env=environment, stdout=log, stderr=log
            )
            try:
                run.wait(timeout=max(10.0, ends + 10 - time.monotonic()))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
    table = given.out / "table.md"
    if not table.is_file():
        sys.stderr.write((given.out / "log.txt").read_text(errors="replace")[-4000:])
        return 1
    sys.stdout.write(table.read_text(encoding="utf-8"))
    return 0


def prepared(bundles: Path, scratch: Path) -> tuple[Path, dict[str, str]]:
    """Join, unpack and install.

    Returns
    -------
    A Python that imports the tree, the wheels and what this one imports, and its environment.
    """
    sys.path.insert(0, str(Path(__file__).parent))
    import bundles as joined  # beside this file, not in a package

    files = joined.unpack(sorted(bundles.glob("bundle-*.tar")), scratch)
    tree, site = scratch / "tree", scratch / "site"
    with tarfile.open(files["tree.tar"]) as archive:
        archive.extractall(tree, filter="data")
    wheels = [str(path) for name, path in files.items() if name.startswith("wheels/")]
    if wheels:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        subprocess.run([*pip, "--no-compile", "--target", str(site), *wheels], check=True)
    # The processes that read images are isolated from PYTHONPATH: a path file reaches them too.
    venv = scratch / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = [tree, site, *(Path(path) for path in sys.path if path.endswith("-packages"))]
    listed = venv / "lib" / version / "site-packages" / "inputs.pth"
    listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    libraries = [str(lib) for path in paths for lib in path.glob("nvidia/*/lib")]
    libraries += [str(lib) for path in paths for lib in path.glob("tensorrt_libs")]
    environment = dict(os.environ)
    searched = [*libraries, *environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(path for path in searched if path)
    scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(venv)}))
    return scripts / "python", environment


if __name__ == "__main__":
    sys.exit(main())
