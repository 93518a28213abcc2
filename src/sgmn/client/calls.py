"""The requests of the API, as both clients send them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from sgmn.client.models import (
    Catalogue,
    Key,
    LogRow,
    Model,
    Now,
    Operation,
    Product,
    Review,
    SearchHit,
    Session,
    Timeline,
    Webhook,
    build,
)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request, and how its answer is read.

    Attributes:
        method: The HTTP method.
        path: The path, with its ids quoted.
        parse: Reads the answer.
        params: The query; None is left out.
        headers: Headers besides the key.
        content: The body.
        file: A file that is the body.
    """

    method: str
    path: str
    parse: Callable[[httpx.Response], Result]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    file: Path | None = None


def call(
    method: str,
    path: str,
    model: type[Model],
    body: Mapping[str, Any] | None = None,
    if_version: int | None = None,
    **params: Any,
) -> Call[Model]:
    """A request that is answered with a model."""

    def parse(response: httpx.Response) -> Model:
        return build(model, response.json())

    content = None if body is None else json.dumps(body).encode()
    return Call(method, path, parse, _query(params), _headers(method, body, if_version), content)


def call_for_nothing(method: str, path: str, if_version: int | None = None) -> Call[None]:
    """A request that is answered without a body."""
    return Call(method, path, lambda _: None, headers=_headers(method, None, if_version))


def call_for_bytes(path: str, **params: Any) -> Call[bytes]:
    """A request for a file."""
    return Call("GET", path, lambda response: response.content, _query(params))


def call_for_items(path: str, model: type[Model], **params: Any) -> Call[list[Model]]:
    """A request for a list without pages."""

    def parse(response: httpx.Response) -> list[Model]:
        return [build(model, item) for item in response.json()["items"]]

    return Call("GET", path, parse, _query(params))


@dataclass(frozen=True, slots=True)
class Page(Generic[Result]):
    """A page of a list."""

    items: list[Result]
    next_cursor: str | None


def call_for_page(path: str, model: type[Model], **params: Any) -> Call[Page[Model]]:
    """A request for a page of a list."""

    def parse(response: httpx.Response) -> Page[Model]:
        document = response.json()
        return Page([build(model, item) for item in document["items"]], document["next_cursor"])

    return Call("GET", path, parse, _query(params))


def _query(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _headers(method: str, body: Mapping[str, Any] | None, if_version: int | None) -> dict[str, str]:
    headers = {} if body is None else {"Content-Type": "application/json"}
    if if_version is not None:
        headers["If-Match"] = f'"{if_version}"'
    if method == "POST":  # so that it may be sent again
        headers["Idempotency-Key"] = uuid.uuid4().hex
    return headers


def make_key(name: str, role: str, shops: Sequence[str] | None) -> Call[Key]:
    """Make a key."""
    body = {"name": name, "role": role, "shops": None if shops is None else list(shops)}
    return call("POST", "/v1/keys", Key, body)


def catalogue_path(catalogue_id: str, *rest: str) -> str:
    """The path of a catalogue, or of something in it."""
    return "/".join(["/v1/catalogues", quote(catalogue_id, safe=""), *rest])


def session_path(session_id: str, *rest: str) -> str:
    """The path of a session, or of something in it."""
    return "/".join(["/v1/sessions", quote(session_id, safe=""), *rest])


def webhook_path(webhook_id: str, *rest: str) -> str:
    """The path of a webhook, or of something in it."""
    return "/".join(["/v1/webhooks", quote(webhook_id, safe=""), *rest])


def product_path(catalogue_id: str, product_id: str) -> str:
    """The path of a product."""
    return catalogue_path(catalogue_id, "products", quote(product_id, safe=""))


def make_catalogue(shop_id: str, name: str) -> Call[Catalogue]:
    """Make a catalogue."""
    return call("POST", "/v1/catalogues", Catalogue, {"shop_id": shop_id, "name": name})


def import_file(catalogue_id: str, path: Path, sync: bool, strict: bool) -> Call[Operation]:
    """Import a file."""
    base = call(
        "POST",
        catalogue_path(catalogue_id, "imports"),
        Operation,
        sync=sync,
        strict=strict,
        filename=path.name,
    )
    headers = {**base.headers, "Content-Type": "application/octet-stream"}
    return Call(base.method, base.path, base.parse, base.params, headers, file=path)


def search(
    catalogue_id: str, text: str, image: bytes | None, media_type: str, limit: int
) -> Call[list[SearchHit]]:
    """Search a catalogue."""
    path = catalogue_path(catalogue_id, "search")
    items = call_for_items(path, SearchHit)
    if image is None:
        headers, body = {"Content-Type": "application/json"}, json.dumps({"text": text}).encode()
        return Call("POST", path, items.parse, {"limit": limit}, headers, body)
    query = {"limit": limit, "text": text}
    return Call("POST", path, items.parse, query, {"Content-Type": media_type}, image)


def put_product(catalogue_id: str, product_id: str, values: Mapping[str, Any]) -> Call[Operation]:
    """Add or replace a product."""
    return call("PUT", product_path(catalogue_id, product_id), Operation, values)


def get_product(catalogue_id: str, product_id: str) -> Call[Product]:
    """Get a product."""
    return call("GET", product_path(catalogue_id, product_id), Product)


def start_session(catalogue_id: str, source: str, options: Mapping[str, Any]) -> Call[Session]:
    """Start a session."""
    body = {"catalogue_id": catalogue_id, "source": source, **options}
    return call("POST", "/v1/sessions", Session, body)


def add_utterances(session_id: str, utterances: Sequence[Mapping[str, Any]]) -> Call[int]:
    """Add what was said."""

    def parse(response: httpx.Response) -> int:
        return int(response.json()["accepted"])

    body = {"utterances": [dict(one) for one in utterances]}
    content = json.dumps(body).encode()
    path = session_path(session_id, "utterances")
    return Call("POST", path, parse, headers=_headers("POST", body, None), content=content)


def get_now(session_id: str) -> Call[Now]:
    """What is on sale now."""
    return call("GET", session_path(session_id, "now"), Now)


def read_log(session_id: str, after: int, wait_s: float, limit: int) -> Call[list[LogRow]]:
    """Rows of the log."""

    def parse(response: httpx.Response) -> list[LogRow]:
        return [build(LogRow, row) for row in response.json()["rows"]]

    params = {"after": after, "wait": wait_s, "limit": limit}
    return Call("GET", session_path(session_id, "log"), parse, params)


def get_timeline(session_id: str, layer: str) -> Call[Timeline]:
    """The segments of a session."""
    return call("GET", session_path(session_id, "timeline"), Timeline, layer=layer)


def put_review(
    session_id: str, review_id: str, review: Mapping[str, Any], if_version: int | None
) -> Call[Review]:
    """Make or change a review."""
    path = session_path(session_id, "reviews", quote(review_id, safe=""))
    return call("PUT", path, Review, review, if_version)


def rotate_secret(webhook_id: str, keep_hours: float) -> Call[Webhook]:
    """Replace the secret of a webhook."""
    path = f"{webhook_path(webhook_id)}:rotate-secret"
    return call("POST", path, Webhook, {"keep_hours": keep_hours})


def make_webhook(shop_id: str, url: str, types: Sequence[str] | None) -> Call[Webhook]:
    """Make a webhook."""
    body: dict[str, Any] = {"shop_id": shop_id, "url": url}
    return call(
        "POST", "/v1/webhooks", Webhook, body if types is None else body | {"types": list(types)}
    )
