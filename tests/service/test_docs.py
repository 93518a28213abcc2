"""The OpenAPI document and the page that is made from it."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from sgmn.service.openapi import operations


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere(
    client: TestClient,
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        assert path in page.text
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page.text
    targets = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert {t for t in targets if not t.startswith("#")} == {"docs/style.css", "openapi.json"}
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")


def test_every_operation_is_described_and_named_once(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    found = list(operations(document))
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names) > 30
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for operation in found:
        assert operation["summary"] and operation["description"], operation["operationId"]
        assert set(operation["tags"]) <= described, operation["operationId"]


def test_every_json_body_has_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is not None:
            name = schema.get("$ref", "").rpartition("/")[2]
            assert schemas.get(name, schema).get("examples"), operation["operationId"]


def test_answers_tell_browsers_to_be_careful(client: TestClient) -> None:
    headers = client.get("/v1/catalogues").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
