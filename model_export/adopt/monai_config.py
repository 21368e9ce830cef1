"""A bundle's configuration: components by class and literals, and references between them."""

from typing import Any

from model_export.adopt.errors import AdoptError
from model_export.adopt.json_files import needed


def resolved(value: Any, config: dict[str, Any]) -> Any:
    """Follow a reference such as `@roi_size`; an expression is not run.

    Raises
    ------
    AdoptError
        It is Python code, or leads nowhere.
    """
    if isinstance(value, str) and value.startswith("@"):
        found: Any = config
        for part in value[1:].replace("#", "::").split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise AdoptError(f"inference.json refers to {value}, which is not there") from None
        return resolved(found, config)
    if isinstance(value, str) and value.startswith("$"):
        raise AdoptError(f"inference.json holds code, which is not run here: {value[:80]}")
    return value


def component(stored: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return a component's literals; `_target_` is its class. Raises as `resolved`."""
    stored = resolved(stored, config)
    if not isinstance(stored, dict):
        return {}
    kept = {}
    for key, value in stored.items():
        if key in ("device", "sw_device", "keys") or (key.startswith("_") and key != "_target_"):
            continue
        kept[key] = resolved(value, config)
    kept["_target_"] = str(kept.get("_target_", "")).rsplit(".", 1)[-1]
    return kept


def pipeline(config: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return a pipeline's transforms, of dictionaries or not, by their names without the `d`.

    Raises
    ------
    AdoptError
        It holds none, or as of `resolved`.
    """
    stored = resolved(config.get(part), config)
    if stored is None:
        return []
    listed = resolved(needed(stored, "transforms", file="inference.json"), config)
    found = []
    for one in listed:
        if resolved(one, config).get("_disabled_") is True:
            continue
        transform = component(one, config)
        name = transform["_target_"]
        plain = name[:-4] if name.endswith("Dict") else name[:-1] if name[-1:] in "dD" else name
        found.append(transform | {"_target_": plain})
    return found


def arguments(one: dict[str, Any]) -> dict[str, Any]:
    """Return what a component's class is called with."""
    return {
        key: value for key, value in one.items() if key not in ("_target_", "allow_missing_keys")
    }
