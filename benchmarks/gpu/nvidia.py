"""What nvidia-smi says of the only GPU."""

import subprocess

UNKNOWN = "no GPU that nvidia-smi knows"


def gpu() -> str:
    """Return its name and driver."""
    return _asked("name,driver_version") or UNKNOWN


def used_mib() -> float | None:
    """Return the memory in use on it, in MiB; None where nobody says."""
    try:
        return float(_asked("memory.used").split()[0])
    except (IndexError, ValueError):
        return None


def _asked(fields: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip().splitlines()[0] if told.stdout.strip() else ""
