"""What is compared: a TOML table of rows, each a variant of a base config."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from model_export.config import TrainingConfig

Overrides = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Part):
    """One variant, trained once a seed."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1)
    base: Path | None = None
    """Path of a config, relative to the table; the table's own base if None."""
    overrides: Overrides = {}


class Table(_Part):
    """Rows over a base config, whose path is relative to the table.

    Each row's overrides are laid over `common`, and both over the base.
    """

    base: Path
    common: Overrides = {}
    rows: tuple[Row, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Trial:
    """One row with one seed."""

    row: str
    seed: int
    config: TrainingConfig

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.row}-{self.seed}"


def read(path: Path) -> list[Trial]:
    """Read a table and give every row with every seed, configs checked.

    Raises
    ------
    ValueError
        A key is unknown, missing or out of its bounds, there or in the config that comes out; or
        two rows have one name. (pydantic.ValidationError is one.)
    """
    table = Table.model_validate(tomllib.loads(path.read_text()))
    names = [row.name for row in table.rows]
    if len(set(names)) < len(names):
        raise ValueError("two rows have one name")
    return [trial for row in table.rows for trial in _trials(table, row, path.parent)]


def _trials(table: Table, row: Row, folder: Path) -> Iterator[Trial]:
    base = tomllib.loads((folder / (row.base or table.base)).read_text())
    values = merged(merged(base, table.common), row.overrides)
    for seed in row.seeds:
        own = {"seed": seed, "name": f"{values['name']}-{row.name}"}
        yield Trial(row.name, seed, TrainingConfig.model_validate({**values, **own}))


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Lay overrides over a base: tables key by key, everything else replaced.

    A table that says it is of another kind shares no keys with the old one, and replaces it.
    """
    result = dict(base)
    for key, value in overrides.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _differ(old, value):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def _differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return "kind" in new and new["kind"] != old.get("kind")
