"""Products one by one, and search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.catalogue.fetch.image_server import ImageServer, run_server
from tests.service.imports.shop import TITLES, Shop, run_waiting, zip_folder


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with run_server() as server:
        yield server


def put(shop: Shop, product_id: str, **fields: object) -> object:
    place = f"{shop.place}/products/{product_id}"
    return shop.client.put(place, json=fields, headers=shop.editor)


def test_a_product_is_added_replaced_and_deleted(shop: Shop, server: ImageServer) -> None:
    images = [f"{server.address}/image/1", f"{server.address}/image/2"]
    added = shop.finish(put(shop, "a%2Fb", title="red milk", images=images, attributes={"n": 1}))
    assert added["result"] == {"added": 1, "replaced": 0, "unchanged": 0}
    product = shop.get("/products/a%2Fb")
    assert (product["product_id"], product["image_count"], product["attributes"]) == (
        "a/b",
        2,
        {"n": 1},
    )
    replaced = shop.finish(put(shop, "a%2Fb", title="green milk"))
    assert replaced["result"]["replaced"] == 1
    assert shop.get("/products/a%2Fb")["title"] == "green milk"
    version = shop.get()["index_version"]
    for status in (204, 404):
        answer = shop.client.delete(f"{shop.place}/products/a%2Fb", headers=shop.editor)
        assert answer.status_code == status
    assert shop.products() == []
    assert shop.get()["index_version"] > version


def test_a_product_needs_a_title_or_an_image(shop: Shop, server: ImageServer) -> None:
    assert getattr(put(shop, "a"), "status_code", 0) == 422
    failed = shop.finish(put(shop, "a", images=[f"{server.address}/missing/a"]))
    assert failed["state"] == "failed"
    assert "no readable image" in failed["problem"]["detail"]
    kept = shop.finish(put(shop, "a", title="milk", images=[f"{server.address}/missing/a"]))
    assert kept["state"] == "succeeded"
    assert "indexed without this image" in kept["rows"][0]["message"]


def test_a_purge_tells_what_it_would_delete(shop: Shop) -> None:
    shop.finish(shop.upload(TITLES))
    place = f"{shop.place}:purge"
    preview = shop.client.post(place, json={}, headers=shop.editor)
    assert (preview.status_code, preview.json()) == (200, {"would_delete": 2})
    assert len(shop.products()) == 2
    operation = shop.finish(shop.client.post(place, json={"force": True}, headers=shop.editor))
    assert operation["result"] == {"removed": 2}
    assert (shop.products(), shop.get()["product_count"]) == ([], 0)


def test_search_finds_by_text_and_by_image(shop: Shop, world: Path) -> None:
    place = f"{shop.place}/search"
    query = {"text": "red apple"}
    assert shop.client.post(place, json=query, headers=shop.editor).json() == {"items": []}
    shop.finish(shop.upload(zip_folder(world), "application/zip"))
    found = shop.client.post(place, json=query, params={"limit": 3}, headers=shop.editor).json()
    scores = [hit["score"] for hit in found["items"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    headers = shop.editor | {"Content-Type": "image/png"}
    image = (world / "p1.png").read_bytes()
    hits = shop.client.post(place, content=image, headers=headers).json()["items"]
    assert hits[0]["product"]["product_id"] == "p1"
    shop.finish(shop.client.post(f"{shop.place}:purge", json={"force": True}, headers=shop.editor))
    assert shop.client.post(place, json=query, headers=shop.editor).json() == {"items": []}


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [
        ("application/json", b'{"text": " "}', 422),
        ("application/json", b"{", 422),
        ("application/json", b'{"text": "a", "more": 1}', 422),
        ("image/jpeg", b"no image", 422),
        ("text/plain", b"red", 415),
        ("image/png", b"x" * 20_000_000, 413),
    ],
)
def test_invalid_searches_are_refused(
    shop: Shop, media_type: str, body: bytes, status: int
) -> None:
    shop.finish(shop.upload(TITLES))
    headers = shop.editor | {"Content-Type": media_type}
    answer = shop.client.post(f"{shop.place}/search", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_indexes_may_be_in_object_storage(shop: Shop, tmp_path: Path) -> None:
    """A `file://` address stands for object storage, which needs a server."""
    address = f"file://{tmp_path}/indexes"
    shop.context.settings = replace(shop.context.settings, index_url=address)
    assert shop.finish(shop.upload(TITLES))["state"] == "succeeded"
    assert shop.products() == ["p1", "p2"]
    assert (tmp_path / "indexes" / shop.id).is_dir()
    query = {"text": "red milk"}
    found = shop.client.post(f"{shop.place}/search", json=query, headers=shop.editor).json()
    assert len(found["items"]) == 2
    shop.client.delete(shop.place, headers=shop.editor)
    run_waiting(shop.context)
    assert not list((tmp_path / "indexes" / shop.id).glob("*.lance"))


def test_the_files_of_a_deleted_catalogue_are_deleted(shop: Shop) -> None:
    shop.finish(shop.upload(TITLES))
    folder = shop.context.settings.data / "catalogues" / shop.id
    assert folder.is_dir()
    assert shop.client.delete(shop.place, headers=shop.editor).status_code == 204
    assert run_waiting(shop.context) == 1
    assert not folder.exists()
