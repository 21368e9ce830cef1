"""Which processor this is, and what it can do: on another one, a net's last bits may differ."""

import platform
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")

INSTRUCTION_SETS = ("amx_int8", "avx512_vnni", "avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")
"""As Linux names them, the best first; what a convolution is computed with follows from them."""


def instruction_set(cpu_info: Path = CPU_INFO) -> str:
    """Return the best instruction set of this processor by Linux's name; "unknown" elsewhere."""
    flags = set(_field(cpu_info, ("flags", "Features")).split())
    return next((name for name in INSTRUCTION_SETS if name in flags), "unknown")


@cache
def machine() -> str:
    """Return processor and instruction set, to tell whether two machines compute alike."""
    name = _field(CPU_INFO, ("model name",)) or platform.processor() or platform.machine()
    return f"{name}, {instruction_set()}"


def _field(cpu_info: Path, names: tuple[str, ...]) -> str:
    """Return a field of the first processor; empty where nobody says."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() in names), "")
