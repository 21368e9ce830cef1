"""What a failed run says of the device: whether it can go on, or is lost to this process.

A CUDA error is sticky when it corrupts the process's context: every later call fails, and only a
new process helps (CUDA Runtime API, `cudaError`).
"""

import re
from typing import Literal

Fault = Literal["memory", "sticky", "unknown"]

STICKY_CODES = frozenset(
    # Device unavailable; ECC, NVLink and contained memory errors; illegal address, time-out,
    # context destroyed, assertion; stack, instruction, alignment, address space, program counter;
    # launch failure; and what the driver does not know.
    (46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999)
)

_CODE = re.compile(r"CUDA (?:failure|error):? (\d+)", re.IGNORECASE)
_STICKY = re.compile(
    r"illegal memory access|illegal instruction|misaligned address|unspecified launch failure"
    r"|device-side assert|uncorrectable|hardware stack error|context is destroyed"
    r"|launch timed out|device.{0,20} (?:lost|unavailable)",
    re.IGNORECASE,
)
_MEMORY = re.compile(
    r"CUDA failure 2\b|out of memory|OUT_?OF_?MEMORY|failed to allocate memory"
    r"|smaller than requested bytes|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)


def fault_of(error: Exception) -> Fault:
    """Tell from the runtime's words what an error means for the runs to come.

    Returns
    -------
    `memory`: the arena was full, and a smaller or later run may do. `sticky`: no run will.
    `unknown`: the device has to show whether it still works.
    """
    text = str(error)
    codes = {int(code) for code in _CODE.findall(text)}
    if codes & STICKY_CODES or _STICKY.search(text):
        return "sticky"
    return "memory" if _MEMORY.search(text) else "unknown"
