"""The OpenAPI document of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sgmn.service import problems

TAGS = {
    "health": "Whether the service works.",
    "keys": "API keys with a role and shops.",
    "catalogues": "Catalogues of shops.",
    "products": "The products of a catalogue, one by one.",
    "imports": "Catalogues as files, archives and addresses.",
    "improvements": "Models trained from reviews, compared with the one in use, and adopted.",
    "search": "Products by text and by image.",
    "operations": "Long jobs, such as imports, and their reports.",
    "sessions": "Streams that are watched.",
    "log": "What happens in a session, as it happens.",
    "reviews": "What people say about what was recognized.",
    "pictures": "Frames, heatmaps and recordings of a session.",
    "exports": "Timelines for other programs.",
    "webhooks": "Events as HTTP requests to other services.",
}


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document of all routes, with problem documents and the errors that any body can meet."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    used = {tag for operation in operations(document) for tag in operation.get("tags", [])}
    document["tags"] = [
        {"name": name, "description": TAGS.get(name, "")}
        for name in [*TAGS, *sorted(used - set(TAGS))]
        if name in used
    ]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = problems.ProblemDocument.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDocument"] = problem
    for operation in operations(document):
        for status, response in problems.responses(*_common_errors(operation)).items():
            operation["responses"].setdefault(str(status), response)
    return document


def _common_errors(operation: dict[str, Any]) -> list[int]:
    """The errors of bodies, of lists, of repeated requests, and of too many requests."""
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    errors = [400, 413] if "requestBody" in operation else []
    errors += [400] if "cursor" in names else []
    errors += [429] if "security" in operation else []
    return errors + ([409] if "idempotency-key" in names else [])


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All operations of a document."""
    for path in document["paths"].values():
        yield from path.values()
