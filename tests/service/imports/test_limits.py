"""Limits of uploads: bytes, time, rows, files, unpacked size, pixels."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.catalogue.fetch.image_server import make_bomb
from tests.service.imports.shop import TITLES, Shop, zip_texts


def limit(shop: Shop, **settings: Any) -> None:
    shop.context.settings = replace(shop.context.settings, **settings)


def no_uploads(shop: Shop) -> bool:
    return not list((shop.context.settings.data / "uploads").iterdir())


def test_an_upload_that_is_too_large_is_refused(shop: Shop) -> None:
    shop.upload(TITLES)
    shop.finish(shop.upload(TITLES))
    limit(shop, max_upload_bytes=len(TITLES) - 1)
    declared = shop.upload(TITLES)
    assert declared.status_code == 413

    def chunks() -> Iterator[bytes]:
        yield from [TITLES.encode()] * 2

    undeclared = shop.upload(chunks())  # type: ignore[arg-type]
    assert undeclared.status_code == 413
    assert undeclared.headers["content-type"] == "application/problem+json"
    assert no_uploads(shop)


def test_a_catalogue_with_too_many_rows_is_refused(shop: Shop) -> None:
    limit(shop, max_rows=1)
    operation = shop.finish(shop.upload(TITLES))
    assert operation["state"] == "failed"
    assert "has more than 1 rows" in operation["problem"]["detail"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [("max_files", "has 2 files; the maximum is 1"), ("max_unpacked_bytes", "is too large")],
)
def test_an_archive_beyond_the_limits_is_refused(shop: Shop, setting: str, message: str) -> None:
    limit(shop, **{setting: 1})
    packed = zip_texts(**{"products__csv": TITLES, "a/b__txt": "x"})
    operation = shop.finish(shop.upload(packed, "application/zip"))
    assert operation["state"] == "failed"
    assert message in operation["problem"]["detail"]


def test_sizes_that_an_archive_claims_are_not_trusted(shop: Shop) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("products.csv", TITLES + " " * 1_000_000)
    content = bytearray(packed.getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (10).to_bytes(4, "little")  # the size before compression
    limit(shop, max_unpacked_bytes=100_000)
    operation = shop.finish(shop.upload(bytes(content), "application/zip"))
    assert operation["state"] == "failed"


def test_an_image_with_too_many_pixels_is_rejected(shop: Shop) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("products.csv", "product_id,title,image\na,red milk,a.png\nb,milk,\n")
        archive.writestr("a.png", make_bomb())
    operation = shop.finish(shop.upload(packed.getvalue(), "application/zip"))
    [row] = operation["rows"]
    assert (row["level"], "megapixels; the maximum is" in row["message"]) == ("error", True)
    assert shop.products() == ["b"]


def test_a_json_document_is_small(shop: Shop) -> None:
    assert shop.import_url("http://shop.example/" + "a" * 200_000).status_code == 413
