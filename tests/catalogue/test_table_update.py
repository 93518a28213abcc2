from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import lancedb
import pytest
import torch

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions, UpdateProgress
from sgmn.errors import IndexingError
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent
from tests.catalogue.conftest import MakeProduct
from tests.catalogue.fakes import DIM, STAMP, FakeEncoder, products_with_title, text_vector


def test_update_adds_replaces_and_skips_unchanged_products(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    first = [
        product_with_image("a", (1, 2, 3)),
        product_with_image("b", (4, 5, 6)),
        *products_with_title(3),
    ]
    report = table.update(first, encoder, UpdateOptions(batch_size=2))
    assert (report.added, report.replaced, report.unchanged, report.rejected_rows) == (5, 0, 0, ())
    encoder.titles.clear()
    product_with_image("b", (7, 8, 9))  # the same record, but other pixels
    second = [*first[:3], replace(first[3], title="new words"), first[4]]
    report = table.update(second, encoder)
    assert (report.added, report.replaced, report.unchanged) == (0, 2, 3)
    assert sorted(encoder.titles) == ["b", "new words"]
    assert table.count() == 5


def test_a_second_run_encodes_nothing(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    products = [product_with_image(f"q{n}") for n in range(5)] + products_with_title(5)
    table.update(products, encoder, UpdateOptions(batch_size=3))
    second_encoder = FakeEncoder()
    report = table.update(products, second_encoder, UpdateOptions(batch_size=3))
    assert second_encoder.titles == [] and report.unchanged == 10 and report.added == 0


def test_products_are_read_back_unchanged(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    fields = {"category": "c", "attributes": {"x": [1, "é"]}, "extra": {"y": None}}
    full = product_with_image("a", shop_id="s", **fields)
    assert full.image is not None
    full = replace(full, images=(full.image,))
    table.update([full, Product("b", title="words", shop_id="s")], encoder)
    assert table.products("s") == [full, Product("b", title="words", shop_id="s")]
    assert table.products("other") == []
    jpeg = table.thumbnails("s")
    assert list(jpeg) == ["a"] and jpeg["a"].startswith(b"\xff\xd8")


def test_tokens_of_the_reranker_are_stored_compressed(table: ProductTable, encoder: FakeEncoder):
    latents = torch.randn(3, 4, DIM, generator=torch.Generator().manual_seed(0))

    def encode(contents: Sequence[ProductContent]) -> ProductVectors:
        return replace(encoder(contents), latents=latents[: len(contents)])

    table.update(products_with_title(3), encode)
    restored = table.shelf().vectors.latents
    step = latents.abs().amax(-1, keepdim=True) / 127
    assert restored.shape == latents.shape
    assert bool(((restored - latents).abs() <= 0.51 * step).all())
    rows = lancedb.connect(table.path).open_table("products").search().select(["latents"])
    [cell_bytes] = {len(row["latents"]) for row in rows.to_arrow().to_pylist()}
    assert cell_bytes == 4 * (DIM + 2)


def test_patches_are_stored_compressed_and_without_padding(
    table: ProductTable, encoder: FakeEncoder
):
    """The products have 60, 36 and no patches of 128 dimensions."""
    patches = torch.randn(3, 60, 128, generator=torch.Generator().manual_seed(0))
    patches[1, 36:], patches[2] = 0, 0

    def encode(contents: Sequence[ProductContent]) -> ProductVectors:
        return replace(encoder(contents), patches=patches[: len(contents)])

    table.update(products_with_title(3), encode)
    restored = table.shelf().vectors.patches
    step = patches.abs().amax(-1, keepdim=True) / 127
    assert restored.shape == patches.shape
    assert bool(((restored - patches).abs() <= 0.51 * step).all())
    rows = lancedb.connect(table.path).open_table("products").search().select(["patches"])
    sizes = sorted(len(row["patches"]) for row in rows.to_arrow().to_pylist())
    assert sizes == [2, 2 + 36 * 130, 2 + 60 * 130] and sizes[-1] <= 8192


def test_a_missing_modality_is_null_and_never_zeros(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    image_only = replace(product_with_image("image only"), title="")
    table.update([image_only, Product("text only", title="only words")], encoder)
    rows = lancedb.connect(table.path).open_table("products").search()
    columns = rows.select(["product_id", "image_vector", "text_vector"]).to_arrow().to_pylist()
    vectors_by_id = {row["product_id"]: row for row in columns}
    assert vectors_by_id["text only"]["image_vector"] is None
    assert vectors_by_id["image only"]["text_vector"] is None
    assert len(vectors_by_id["text only"]["text_vector"]) == DIM
    vectors = table.shelf().vectors  # ordered by id: image only, text only
    assert vectors.has_image.tolist() == [True, False]
    assert vectors.has_text.tolist() == [False, True]
    torch.testing.assert_close(vectors.text[1], text_vector(b"only words"))


def test_sync_affects_only_the_shops_of_the_run(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    untitled = replace(product_with_image("p1", shop_id="s"), title="")
    shops = [
        *products_with_title(1, "s"),
        untitled,
        *products_with_title(2, "t"),
        *products_with_title(4, "s", start=2),
    ]
    table.update(shops, encoder)
    assert untitled.image is not None
    untitled.image.unlink()  # it is listed, but rejected: its row stays
    listed = [*products_with_title(2, "s", start=3), untitled]
    report = table.update(listed, encoder, UpdateOptions(sync=True))
    assert report.removed == 3 and len(report.rejected_rows) == 1
    assert {product_id for _, product_id in table.product_keys("s")} == {"p1", "p3", "p4"}
    assert table.shops() == {"s": 3, "t": 2}


def test_progress_reports_only_batches_that_are_on_disk(table: ProductTable, encoder: FakeEncoder):
    calls: list[UpdateProgress] = []

    def record(progress: UpdateProgress) -> None:
        assert set(progress.written) <= set(ProductTable.open(table.path, STAMP).product_keys())
        calls.append(progress)

    table.update(products_with_title(7), encoder, UpdateOptions(batch_size=3), record)
    assert [len(call.written) for call in calls] == [3, 3, 1, 0]
    assert [(call.done, call.total) for call in calls] == [(3, 7), (6, 7), (7, 7), (7, 7)]
    calls.clear()
    table.update(iter(products_with_title(8)), encoder, UpdateOptions(batch_size=3), record)
    assert (calls[-1].done, calls[-1].total) == (8, None)  # seven of them unchanged


def test_keys_of_two_shops_never_collide(table: ProductTable, encoder: FakeEncoder):
    pairs = [("a", "b"), ("a\x1f", "b"), ("a", "\x1fb"), ('a", "b', "c"), ("a", 'b", "c')]
    report = table.update([Product(p, title="t", shop_id=s) for s, p in pairs], encoder)
    assert report.added == table.count() == len(pairs)
    assert sorted(table.product_keys()) == sorted(pairs)


def test_remove_from_one_shop_or_from_all(table: ProductTable, encoder: FakeEncoder):
    table.update([*products_with_title(3, "s"), *products_with_title(3, "t")], encoder)
    assert table.remove(["p0", "p0"], "s").count == 1
    assert table.remove(["p1"]).count == 2
    assert table.shops() == {"s": 1, "t": 2}
    assert table.remove(["p0"], "s").unknown_ids == ("p0",)


def test_invalid_vectors_of_an_encoder_are_rejected(table: ProductTable, encoder: FakeEncoder):
    def too_few(contents: Sequence[ProductContent]) -> ProductVectors:
        return encoder(contents)[:1]

    def too_wide(contents: Sequence[ProductContent]) -> ProductVectors:
        return replace(encoder(contents), text=torch.zeros(len(contents), DIM + 1))

    def not_a_number(contents: Sequence[ProductContent]) -> ProductVectors:
        vectors = encoder(contents)
        return replace(vectors, text=vectors.text * float("nan"))

    for encode in (too_few, too_wide, not_a_number):
        with pytest.raises(IndexingError, match="the encoder"):
            table.update(products_with_title(2), encode)
    assert table.count() == 0


def test_a_failing_encoder_leaves_the_rows_that_were_written(
    table: ProductTable, encoder: FakeEncoder
):
    def fail_at_third(contents: Sequence[ProductContent]) -> ProductVectors:
        if len(encoder.titles) >= 4:
            raise ZeroDivisionError
        return encoder(contents)

    with pytest.raises(ZeroDivisionError):
        table.update(products_with_title(9), fail_at_third, UpdateOptions(batch_size=2))
    assert sorted(table.product_keys()) == [("", f"p{n}") for n in range(4)]
    assert table.update(products_with_title(9), encoder).unchanged == 4


def test_optimize_while_another_process_writes(table: ProductTable, encoder: FakeEncoder):
    reader = ProductTable.open(table.path, STAMP)
    options = UpdateOptions(batch_size=3)
    with ThreadPoolExecutor(1) as worker:
        update = worker.submit(table.update, products_with_title(60), encoder, options)
        while not update.done():
            reader.optimize()
    assert update.result().added == reader.count() == 60


def test_the_primary_key_survives_optimize(table: ProductTable, encoder: FakeEncoder):
    table.update(products_with_title(3), encoder)
    table.optimize()
    stored = lancedb.connect(table.path).open_table("products")
    field = stored.schema.field("id")
    assert field.metadata == {b"lance-schema:unenforced-primary-key": b"true"}
    assert not field.nullable
    assert all(index.columns != ["id"] for index in stored.list_indices())
