"""Imports of every kind of catalogue, with their reports."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.imports.shop import TITLES, Shop, json_lines, zip_folder, zip_texts

SHOPIFY = {"products": [{"id": 1, "handle": "mug", "title": "Red mug", "variants": [{"id": 7}]}]}
JSON_LD = {"@context": "https://schema.org", "@type": "Product", "sku": "a", "name": "red apple"}
MERCHANT = (
    '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>a</g:id>'
    "<title>red apple</title></item></channel></rss>"
)


@pytest.mark.parametrize(
    ("media_type", "body", "query"),
    [
        ("text/csv", TITLES, {}),
        ("text/csv; charset=utf-8", TITLES, {"filename": "shop.csv"}),
        ("text/tab-separated-values", TITLES.replace(",", "\t"), {}),
        ("application/x-ndjson", json_lines({"product_id": "p1", "title": "red milk"}), {}),
        ("application/xml", MERCHANT, {}),
        ("application/ld+json", json.dumps(JSON_LD), {}),
        ("application/octet-stream", json.dumps(SHOPIFY), {"filename": "products.json"}),
        (
            "application/octet-stream",
            gzip.compress(TITLES.encode(), mtime=0),
            {"filename": "a.csv.gz"},
        ),
        ("application/zip", zip_texts(shop__csv=TITLES), {}),
    ],
)
def test_every_format_is_imported(
    shop: Shop, media_type: str, body: str | bytes, query: dict[str, str]
) -> None:
    operation = shop.finish(shop.upload(body, media_type, **query))
    assert operation["state"] == "succeeded", operation
    assert operation["result"]["added"] == len(shop.products()) > 0
    assert shop.get()["product_count"] == len(shop.products())
    assert shop.get()["index_version"] > 0


def test_an_archive_has_images(shop: Shop, world: Path) -> None:
    operation = shop.finish(shop.upload(zip_folder(world, "shop/"), "application/zip"))
    assert operation["result"]["added"] == 6
    assert operation["rows"] == []
    image = shop.client.get(f"{shop.place}/images/p0.jpg", headers=shop.editor)
    assert image.headers["content-type"] == "image/jpeg"
    assert image.content.startswith(b"\xff\xd8")
    again = shop.finish(shop.upload(zip_folder(world), "application/zip"))
    assert again["result"]["unchanged"] == 6  # although it was unpacked elsewhere
    assert not list((shop.context.settings.data / "uploads").iterdir())


def test_the_report_names_each_rejected_row(shop: Shop) -> None:
    rows = json_lines(
        {"product_id": "ok", "title": "red milk"},
        {"title": "no id"},
        {"product_id": "gone", "title": "green milk", "image": "gone.png"},
        {"product_id": "theirs", "title": "blue milk", "shop_id": "shop-b"},
        {"product_id": "stolen", "title": "blue juice", "image": "/etc/passwd"},
        {"product_id": "up", "title": "blue juice", "image": "../../../service.sqlite3"},
    )
    answer = shop.upload(rows, "application/jsonl", filename="my shop.jsonl")
    operation = shop.finish(answer)
    assert operation["state"] == "succeeded"
    assert sorted(shop.products()) == ["gone", "ok"]
    found = {(row["level"], row["location"]): row["message"] for row in operation["rows"]}
    assert set(found) == {
        ("error", "my-shop.jsonl:2:1"),
        ("warning", "my-shop.jsonl:3:1"),
        ("error", "my-shop.jsonl:4:1"),
        ("error", "my-shop.jsonl:5:1"),
        ("error", "my-shop.jsonl:6:1"),
    }
    assert "names the shop 'shop-b'" in found["error", "my-shop.jsonl:4:1"]
    assert "'/etc/passwd' is not part of the upload" in found["error", "my-shop.jsonl:5:1"]
    assert str(shop.context.settings.data) not in json.dumps(operation)


def test_sync_removes_products_that_are_no_longer_listed(shop: Shop) -> None:
    shop.finish(shop.upload(TITLES))
    operation = shop.finish(shop.upload("product_id,title\np2,green milk\n", sync=True))
    assert operation["result"]["removed"] == 1
    assert shop.products() == ["p2"]


def test_a_catalogue_without_valid_rows_fails_with_its_report(shop: Shop) -> None:
    operation = shop.finish(
        shop.upload(json_lines({"title": "a"}, {"title": "b"}), "application/jsonl")
    )
    assert operation["state"] == "failed"
    assert "has no valid product" in operation["problem"]["detail"]
    assert [row["location"] for row in operation["rows"]] == [
        "catalogue.jsonl:1:1",
        "catalogue.jsonl:2:1",
    ]


@pytest.mark.parametrize(
    ("body", "media_type", "message"),
    [
        (b"PK\x03\x04broken", "application/zip", "not a readable zip archive"),
        (zip_texts(), "application/zip", "is empty"),
        (zip_texts(a__csv=TITLES, b__csv=TITLES), "application/zip", "has 2 catalogues"),
        (zip_texts(**{"../x__csv": TITLES}), "application/zip", "not an acceptable name"),
        (b"\x00\x01", "application/octet-stream", "is not UTF-8 text"),
    ],
)
def test_a_broken_upload_is_a_failed_operation(
    shop: Shop, body: bytes, media_type: str, message: str
) -> None:
    operation = shop.finish(shop.upload(body, media_type))
    assert operation["state"] == "failed"
    assert message in operation["problem"]["detail"]
    assert str(shop.context.settings.data) not in operation["problem"]["detail"]


def test_other_media_types_and_empty_bodies_are_refused(shop: Shop) -> None:
    assert shop.upload("x", "image/png").status_code == 415
    assert shop.upload("", "text/csv").status_code == 422
    assert shop.import_url("ftp://shop.example/a.csv").status_code == 422
    assert not list((shop.context.settings.data / "uploads").iterdir())


def test_the_import_of_a_hidden_catalogue_is_not_received(
    shop: Shop, other_editor: dict[str, str], viewer: dict[str, str]
) -> None:
    own, shop.editor = shop.editor, other_editor
    assert shop.upload(TITLES).status_code == 404
    shop.editor = viewer
    assert shop.upload(TITLES).status_code == 403
    shop.editor = own
    assert not (shop.context.settings.data / "uploads").exists()


def test_an_upload_that_is_sent_again_is_imported_once(shop: Shop) -> None:
    own = dict(shop.editor)
    shop.editor = own | {"Idempotency-Key": "monday"}
    first, again = shop.upload(TITLES), shop.upload(TITLES)
    other = shop.upload(TITLES + "p3,blue milk\n")
    assert first.json() == again.json()
    assert other.status_code == 409
    shop.editor = own
    uploads = list((shop.context.settings.data / "uploads").iterdir())
    assert [path.name for path in uploads] == [first.json()["id"]]
    assert shop.finish(first)["result"]["added"] == 2


def test_products_come_in_pages(shop: Shop) -> None:
    rows = "".join(f"p{number},title {number}\n" for number in range(5))
    shop.finish(shop.upload("product_id,title\n" + rows))
    first = shop.get("/products", limit=2)
    second = shop.get("/products", limit=2, cursor=first["next_cursor"])
    last = shop.get("/products", limit=2, cursor=second["next_cursor"])
    pages: list[Any] = [first, second, last]
    ids = [[product["product_id"] for product in page["items"]] for page in pages]
    assert ids == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert last["next_cursor"] is None
