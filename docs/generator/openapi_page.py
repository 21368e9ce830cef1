"""openapi.yaml as a page: every route, parameter, answer and schema, with examples."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Node = Mapping[str, Any]

EXAMPLES = {
    "SegmentationResult": "docs/examples/segment.json",
    "Problem": "docs/examples/problem.json",
}
"""Real answers, by the schema that they are of; a test holds them against it."""

MAX_SHOWN = 6
"""Of a list in an example: runs and contours have hundreds of entries."""

SENT = {
    "application/dicom": "--data-binary @mammogram.dcm -H 'Content-Type: application/dicom'",
    "multipart/form-data": "-F file=@mammogram.dcm",
    "multipart/related": (
        "--data-binary @body.bin"
        " -H 'Content-Type: multipart/related; type=\"application/dicom\"; boundary=...'"
    ),
}
"""How curl sends a body, by media type; the first that a route takes is shown."""


def openapi_page(root: Path) -> str:
    """Return the page, as Markdown."""
    api: Node = yaml.safe_load((root / "openapi.yaml").read_text(encoding="utf-8"))
    lines = [
        "# The API",
        "",
        f"Made from openapi.yaml, version {api['info']['version']}. {_text(api['info'])}",
        "",
        "How to ask, in words, is in [Asking over HTTP](http.md); what each problem code means, in"
        " [Problem codes](problems.md). Names of schemas lead to [their fields](#schemas).",
        "",
    ]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            lines += _operation(path, method, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(api["components"]["schemas"].items()):
        lines += _schema(root, name, schema)
    return "\n".join(lines) + "\n"


def _operation(path: str, method: str, operation: Node) -> Iterator[str]:
    yield from (
        f"## {method.upper()} {path}",
        "",
        f"**{operation['summary']}.** {_text(operation)}",
    )
    yield ""
    yield from _parameters(operation.get("parameters", []))
    if body := operation.get("requestBody"):
        yield from (f"**Body.** {_text(body)}", "", "| Media type | Holds |", "|---|---|")
        for media, content in body["content"].items():
            yield f"| `{media}` | {_type(content.get('schema', {}))} |"
        yield ""
        for media, content in body["content"].items():
            yield from _fields_of_form(media, content.get("schema", {}))
    yield from _curl(path, method, operation)
    yield from ("| Status | Media type | Holds | When |", "|---|---|---|---|")
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {"": {}}).items():
            held = _type(content["schema"]) if "schema" in content else ""
            shown = f"`{media}`" if media else ""
            yield f"| {status} | {shown} | {held} | {_cell(answer['description'])} |"
    yield ""


def _parameters(parameters: list[Node]) -> Iterator[str]:
    if not parameters:
        return
    yield from ("| Parameter | In | Type | Default | Meaning |", "|---|---|---|---|---|")
    for one in parameters:
        place = one["in"] + (" (required)" if one.get("required") else "")
        default = one["schema"].get("default")
        shown = "" if default is None else f"`{json.dumps(default)}`"
        about = _cell(one.get("description", one["schema"].get("description", "")))
        yield f"| `{one['name']}` | {place} | {_type(one['schema'])} | {shown} | {about} |"
    yield ""


def _fields_of_form(media: str, schema: Node) -> Iterator[str]:
    if "properties" not in schema:
        return
    yield from (f"Fields of `{media}`: {_text(schema)}", "", "| Field | Type | Meaning |")
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        yield f"| `{name}` | {_type(field)} | {_cell(field.get('description', ''))} |"
    yield ""


def _curl(path: str, method: str, operation: Node) -> Iterator[str]:
    taken = operation.get("requestBody", {}).get("content", {})
    sent = next((how for media, how in SENT.items() if media in taken), "")
    url = f"http://127.0.0.1:8000{path.replace('{', '$').replace('}', '')}"
    parts = ["curl", f"-X {method.upper()}" if method not in ("get", "post") else "", sent, url]
    yield from ("```sh", " ".join(part for part in parts if part), "```", "")


def _schema(root: Path, name: str, schema: Node) -> Iterator[str]:
    yield from (f"### {name}", "", _text(schema), "")
    if "properties" in schema:
        required = schema.get("required", [])
        yield from ("| Field | Type | Always | Meaning |", "|---|---|---|---|")
        for field, kind in schema["properties"].items():
            always = "yes" if field in required else ""
            yield f"| `{field}` | {_type(kind)} | {always} | {_cell(kind.get('description', ''))} |"
        yield ""
    else:
        yield from (_type(schema), "")
    shown = [*schema.get("examples", ()), *([schema["example"]] if "example" in schema else ())]
    if name in EXAMPLES:
        shown.append(json.loads((root / EXAMPLES[name]).read_text(encoding="utf-8")))
    for example in shown:
        short = json.dumps(_shortened(example), indent=2)
        yield from ("Example, long lists cut short:", "", "```json", short, "```", "")


def _type(schema: Node) -> str:
    """Return a schema in a few words, with what bounds it, fit for a cell of a table."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[key]))) + _bounds(schema)
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema.get("type") == "array":
        return _array(schema)
    words = schema.get("format", schema.get("type", "anything"))
    return f"{'file' if words == 'binary' else words}{_bounds(schema)}"


def _array(schema: Node) -> str:
    if "prefixItems" in schema:
        return f"list of {', '.join(map(_type, schema['prefixItems']))}"
    return f"list of {_type(schema.get('items', {}))}{_bounds(schema)}"


def _bounds(schema: Node) -> str:
    named = {
        "minimum": "from {}", "exclusiveMinimum": "over {}", "maximum": "to {}",
        "exclusiveMaximum": "under {}", "minLength": "at least {} characters",
        "maxLength": "at most {} characters", "minItems": "at least {}", "maxItems": "at most {}",
        "pattern": "matches `{}`",
    }  # fmt: skip
    said = [words.format(schema[key]) for key, words in named.items() if key in schema]
    return f" ({', '.join(said)})" if said else ""


def _shortened(example: Any) -> Any:
    if isinstance(example, dict):
        return {key: _shortened(value) for key, value in example.items()}
    if isinstance(example, list) and len(example) > MAX_SHOWN:
        return [*map(_shortened, example[:MAX_SHOWN]), "..."]
    if isinstance(example, list):
        return [*map(_shortened, example)]
    return example


def _text(node: Node) -> str:
    return str(node.get("description", "")).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
