"""The objects that kustomize makes of deploy/kubernetes."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import which

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
ENTRIES = ("base", "overlays/cpu", "overlays/gpu", "overlays/replicas")

Object = dict[str, Any]


def built(folder: Path) -> tuple[Object, ...]:
    """Return the objects that `kubectl apply -k` would send."""
    kubectl = which("kubectl")
    if kubectl is None:
        # In no package of Debian 12, so CI does not ask for it.
        pytest.skip("needs kubectl, 1.27 or newer")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@cache
def made(entry: str) -> tuple[Object, ...]:
    return built(FOLDER / entry)


def of_kind(entry: str, *kinds: str) -> list[Object]:
    return [one for one in made(entry) if one["kind"] in kinds]


def workloads(entry: str) -> list[Object]:
    return of_kind(entry, "Deployment", "StatefulSet")


def pods(entry: str) -> Iterator[Object]:
    yield from (one["spec"]["template"]["spec"] for one in workloads(entry))


def containers(entry: str) -> Iterator[Object]:
    for pod in pods(entry):
        yield from pod["containers"]


def values(container: Object) -> dict[str, str]:
    """Return the settings that a container has, but for secret ones."""
    return {
        one["name"].removeprefix("MAMMOSEG_").lower(): one.get("value", "")
        for one in container["env"]
        if one["name"].startswith("MAMMOSEG_")
    }


def mib(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * (1024 if unit == "Gi" else 1)


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()
