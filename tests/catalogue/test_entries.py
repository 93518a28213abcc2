from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.catalogue.entries import THUMBNAIL_SIDE_PX, compute_content_hash, encode_thumbnail
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.errors import RecordError
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent
from tests.catalogue.conftest import MakeProduct
from tests.catalogue.fakes import FakeEncoder, products_with_title


def test_one_batch_is_read_ahead_while_another_is_encoded(
    table: ProductTable, encoder: FakeEncoder
):
    read_count, ahead_counts = 0, []
    changed = threading.Condition()

    def products() -> Iterator[Product]:
        nonlocal read_count
        for product in products_with_title(20):
            with changed:
                read_count += 1
                changed.notify()
            yield product

    def encode(batch: Sequence[ProductContent]) -> ProductVectors:
        expected = min(len(encoder.titles) + 2 * 4, 20)
        with changed:
            assert changed.wait_for(lambda: read_count >= expected, timeout=5)
            # A reader that does not stop at one batch would go on within this time.
            changed.wait_for(lambda: read_count > expected, timeout=0.02)
            ahead_counts.append(read_count - len(encoder.titles))
        return encoder(batch)

    table.update(products(), encode, UpdateOptions(batch_size=4))
    assert ahead_counts == [8, 8, 8, 8, 4]


def test_the_hash_covers_every_field_and_every_pixel(product_with_image: MakeProduct):
    product = product_with_image("a", category="c", attributes={"x": 1, "y": 2})
    assert product.image is not None
    first = compute_content_hash(product)
    assert compute_content_hash(replace(product, attributes={"y": 2, "x": 1})) == first
    changes: list[dict[str, Any]] = [
        {"title": "b"},
        {"category": "d"},
        {"shop_id": "s"},
        {"product_id": "b"},
        {"attributes": {}},
        {"extra": {"k": 1}},
        {"images": (product.image,)},
        {"image": None},
    ]
    hashes = {compute_content_hash(replace(product, **change)) for change in changes}
    assert len(hashes | {first}) == len(changes) + 1
    product_with_image("a", (0, 0, 1))
    assert compute_content_hash(product) != first


def test_the_hash_changes_when_a_missing_image_appears(tmp_path: Path):
    product = Product("a", image=tmp_path / "late.png")
    first = compute_content_hash(product)
    Image.new("RGB", (2, 2)).save(tmp_path / "late.png")
    assert compute_content_hash(product) != first


def test_a_record_that_cannot_be_stored_is_named():
    with pytest.raises(RecordError, match="product 'a' of shop 's': cannot be stored"):
        compute_content_hash(Product("a", "t", shop_id="s", attributes={"x": float("inf")}))


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape():
    thumbnail = encode_thumbnail(np.full((300, 600, 3), 80, np.uint8))
    image = Image.open(io.BytesIO(thumbnail))
    assert image.format == "JPEG" and image.size == (THUMBNAIL_SIDE_PX, 80)
    tiny = Image.open(io.BytesIO(encode_thumbnail(np.zeros((5, 9, 3), np.uint8))))
    assert tiny.size == (9, 5)
