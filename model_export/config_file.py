"""Where a run's config is read, and what is said of one that does not hold."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from model_export.config import TrainingConfig

CONFIG = "config.json"
"""In a run's folder."""


def read_config(path: Path) -> TrainingConfig:
    """Read and check a TOML file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no TOML, or a key is unknown, missing or out of its bounds; the message names the file
        and every such key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    return _checked(values, str(path))


def stored_config(run: Path) -> TrainingConfig:
    """Read the config of a run from its folder.

    Raises
    ------
    FileNotFoundError
        There is no run in it.
    ValueError
        Its config does not hold, or does not hold any more.
    """
    path = run / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"no {path}: there is no run, and nothing to resume or to export")
    try:
        return TrainingConfig.model_validate_json(path.read_text())
    except ValidationError as error:
        raise ValueError(said(error, str(path))) from None


def changed_config(config: TrainingConfig, changes: Mapping[str, Any]) -> TrainingConfig:
    """Return a config with other values, which are checked as those of a file are.

    Raises
    ------
    ValueError
        One is out of its bounds.
    """
    return _checked({**config.model_dump(), **changes}, "what was asked for")


def _checked(values: Mapping[str, Any], where: str) -> TrainingConfig:
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        raise ValueError(said(error, where)) from None


def said(error: ValidationError, where: str) -> str:
    """Return what is wrong, by the names of the keys, without what pydantic says around it."""
    faults = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'as a whole'}: "
        + fault["msg"].removeprefix("Value error, ")
        for fault in error.errors(include_url=False)
    ]
    return f"{where}: {'; '.join(faults)}"
