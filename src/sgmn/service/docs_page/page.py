"""Renders an OpenAPI document: operations by subject, with curl examples, and schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent
_BINARY_EXAMPLES = {"image/jpeg": "photo.jpg", "text/csv": "products.csv"}


def render_page(document: Mapping[str, Any]) -> str:
    """The page; it loads its style sheet and nothing else."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = [(tag, list(_operations(document, tag["name"]))) for tag in document["tags"]]
    schemas = [_schema(name, body) for name, body in sorted(_schemas(document).items())]
    return environment.get_template("page.html.j2").render(
        info=document["info"], subjects=subjects, schemas=schemas
    )


def read_style() -> str:
    """The style sheet of the page."""
    return (_FOLDER / "style.css").read_text(encoding="utf-8")


def _schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document["components"]["schemas"]
    return found


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", []):
                yield _operation(document, path, method.upper(), operation)


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "path": path,
        "method": method,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [_parameter(p) for p in operation.get("parameters", [])],
        "bodies": [(media_type, _type_of(body["schema"])) for media_type, body in content.items()],
        "responses": [_response(s, r) for s, r in sorted(operation["responses"].items())],
        "curl": _curl(document, path, method, operation),
    }


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "required": parameter.get("required", False),
        "type": _type_of(parameter["schema"]),
        "description": parameter.get("description", ""),
    }


def _response(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    content = response.get("content", {})
    types = [(media, _type_of(body.get("schema", {}))) for media, body in content.items()]
    return {"status": status, "description": response.get("description", ""), "types": types}


def _schema(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    required = set(body.get("required", []))
    fields = [
        {
            "name": field,
            "required": field in required,
            "type": _type_of(schema),
            "description": schema.get("description", ""),
        }
        for field, schema in body.get("properties", {}).items()
    ]
    return {"name": name, "description": body.get("description", ""), "fields": fields}


def _type_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, such as `list of Key` or `text or null`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type_of, choices)))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    if kind == "string" and schema.get("format") == "binary":
        return "bytes"
    return {"string": "text", "null": "null"}.get(kind, str(kind))


def _curl(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> str:
    """A command that calls an operation."""
    parts = ["curl"] if method == "GET" else ["curl", "-X", method]
    parts.append(f'"$SGMN{path}"')
    if operation.get("security"):
        parts.append('-H "Authorization: Bearer $KEY"')
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        example = _example(document, content["application/json"]["schema"])
        parts += ["--json", f"'{json.dumps(example)}'"]
    for media_type, name in _BINARY_EXAMPLES.items():
        if media_type in content:
            other = f'curl "$SGMN{path}" -H "Authorization: Bearer $KEY"'
            upload = f"{other} -H 'Content-Type: {media_type}' --data-binary @{name}"
            return f"{' '.join(parts)}\n{upload}"
    return " ".join(parts)


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = _schemas(document)[schema["$ref"].rpartition("/")[2]]
    return next(iter(schema.get("examples", [])), {})
