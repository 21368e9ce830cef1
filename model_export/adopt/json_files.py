"""JSON that frameworks write beside their weights."""

import json
from pathlib import Path
from typing import Any

from model_export.adopt.errors import AdoptError


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a file.

    Raises
    ------
    AdoptError
        It is not there, is no JSON, or no object.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AdoptError(f"{path.name} cannot be read: {type(error).__name__}") from error
    if not isinstance(stored, dict):
        raise AdoptError(f"{path.name} holds no JSON object")
    return stored


def needed(stored: dict[str, Any], *keys: str, file: str) -> Any:
    """Return a value by its path of keys.

    Raises
    ------
    AdoptError
        A key is not there; the message names it.
    """
    value: Any = stored
    for index, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            raise AdoptError(f"{file} lacks {'.'.join(keys[: index + 1])}")
        value = value[key]
    return value
