"""The page of the API holds all that openapi.yaml does, with examples that its schemas fit."""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from docs.generator.openapi_page import EXAMPLES, openapi_page

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
API: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
OPERATIONS = [
    (path, method, operation)
    for path, methods in API["paths"].items()
    for method, operation in methods.items()
]


@functools.cache
def sections(level: str) -> dict[str, str]:
    """Return the page's sections of one level of heading, by heading."""
    parts = re.split(rf"^{level} (.+)$", openapi_page(ROOT), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_route_is_told_with_its_parameters_bodies_and_answers(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    told = sections("##")[f"{method.upper()} {path}"]
    for parameter in operation.get("parameters", []):
        assert f"| `{parameter['name']}` | {parameter['in']}" in told
    for media in operation.get("requestBody", {}).get("content", {}):
        assert f"| `{media}` |" in told
    for status, answer in operation["responses"].items():
        for media in answer.get("content", {}):
            assert f"| {status} | `{media}` |" in told
    assert "```sh\ncurl " in told


@pytest.mark.parametrize("name", API["components"]["schemas"])
def test_every_schema_is_told_with_its_fields(name: str) -> None:
    told = sections("###")[name]
    for field in API["components"]["schemas"][name].get("properties", {}):
        assert f"| `{field}` |" in told


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_schema_says(name: str) -> None:
    example = json.loads((ROOT / EXAMPLES[name]).read_text(encoding="utf-8"))
    schema = {"$ref": f"#/components/schemas/{name}", "components": API["components"]}
    jsonschema_rs.validator_for(schema).validate(example)
    assert "```json" in sections("###")[name]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_in_the_description_leads_to_a_schema() -> None:
    known = {f"#/components/schemas/{name}" for name in API["components"]["schemas"]}
    assert set(references(API)) - known == set()
    assert known - set(references(API)) == set()
