"""What is lost where types that somebody else made read a document and write it again."""

from typing import Any


def lost(value: Any, back: Any, path: str = "") -> list[str]:
    """Return where what came back is not what went in."""
    if isinstance(value, dict) and isinstance(back, dict):
        return [
            fault for key in value for fault in lost(value[key], back.get(key), f"{path}/{key}")
        ]
    if isinstance(value, list) and isinstance(back, list) and len(value) == len(back):
        return [
            fault
            for index, pair in enumerate(zip(value, back, strict=True))
            for fault in lost(*pair, f"{path}[{index}]")
        ]
    return [] if value == back else [path]
