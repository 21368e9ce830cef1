"""The same machine as one that has AVX2 and nothing newer: what a process then sees and runs.

Libraries choose their code by the instruction CPUID; avx2_only.c, loaded before all of them,
answers for it. The code that runs is the very code that a machine with AVX2 alone runs; its clock
and its caches are this machine's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "avx2_only.so"
MARK = "BENCHMARKS_AVX2_ONLY"
"""Set in the environment of those that see AVX2 alone. Its name begins as no setting's does: the
service would refuse it."""

HIDDEN_FROM_LIBC = ("AVX512F", "AVX512VL", "AVX512BW", "AVX512DQ", "AVX512CD")
"""The C library asks before anything is loaded, and is told by itself."""


def is_on() -> bool:
    """Say whether this process sees AVX2 alone."""
    return MARK in os.environ


def environment(folder: Path) -> dict[str, str]:
    """Compile the library into a folder; return the environment of those that see AVX2 alone.

    Raises
    ------
    RuntimeError
        There is no C compiler, or kernel or processor cannot do it.
    """
    library = folder / LIBRARY
    compiler = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    try:
        subprocess.run(compiler, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError("a C compiler (cc, x86-64) is needed to hide AVX-512") from error
    hidden = ",".join(f"-{name}" for name in HIDDEN_FROM_LIBC)
    changes = {
        "LD_PRELOAD": str(library),
        "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={hidden}",
        MARK: "1",
    }
    chosen = {**os.environ, **changes}
    if subprocess.run(["true"], env=chosen, capture_output=True, check=False).returncode:
        raise RuntimeError("kernel or processor cannot hide AVX-512 (see arch_prctl(2))")
    return chosen


def run_again() -> int:
    """Run this very command where AVX2 alone is seen, and return its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
        return subprocess.run(command, env=environment(Path(folder)), check=False).returncode
