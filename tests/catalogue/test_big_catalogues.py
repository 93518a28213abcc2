"""What keeps the time and the memory of large indexes in bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from sgmn.catalogue import maintenance
from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.row_building import EncodedBatch
from sgmn.catalogue.rows import VectorModality
from sgmn.catalogue.stored_hashes import StoredHashes
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.catalogue.vectors import build_table
from sgmn.catalogue.write_groups import MAX_ROWS, join_batches
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent
from tests.catalogue.fakes import DIM, STAMP, FakeEncoder, products_with_title

SHOPS, SHOP_SIZE = 20, 150


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ProductTable:
    """3,000 products of 20 shops, clustered as variants are; not merged yet."""
    table = ProductTable.create_or_open(tmp_path_factory.mktemp("large") / "index", STAMP)
    rng = np.random.default_rng(0)
    for first in range(0, SHOPS * SHOP_SIZE, 500):
        table.write_rows(random_rows(rng, first, 500))
    return table


def random_rows(rng: np.random.Generator, first: int, count: int) -> pa.Table:
    products = [
        Product(f"p{n:05}", f"title {n}", shop_id=f"s{n % SHOPS}")
        for n in range(first, first + count)
    ]
    entries = [IndexEntry(product, "0" * 64, ProductContent((), ""), None) for product in products]
    kinds = np.random.default_rng(1).normal(size=(60, DIM))
    vectors = kinds[rng.integers(60, size=count)] + 0.5 * rng.normal(size=(count, DIM))
    image = torch.nn.functional.normalize(torch.tensor(vectors, dtype=torch.float32), dim=1)
    present = torch.ones(count, dtype=torch.bool)
    return build_table(entries, ProductVectors(image, present, image.flip(1), present), STAMP)


def test_the_index_of_shops_changes_no_shelf(large: ProductTable):
    before = {shop: large.shelf_rows(shop) for shop in ("s0", "s7", "s19")}
    large.optimize()
    assert any(index.columns == ["shop_id"] for index in large._table.list_indices())
    plan = large._table.search().where("shop_id = 's7'").explain_plan()
    assert "ScalarIndexQuery" in plan
    for shop, rows in before.items():
        assert rows.num_rows == SHOP_SIZE and large.shelf_rows(shop).equals(rows)
    large.update([Product("zz", "not indexed yet", shop_id="s7")], FakeEncoder())
    assert large.shelf("s7").product_ids == [*before["s7"]["product_id"].to_pylist(), "zz"]


def test_search_across_shops_with_the_vector_index_finds_what_exact_search_finds(
    large: ProductTable,
):
    large.build_vector_index()
    queries = np.random.default_rng(2).normal(size=(20, DIM)).astype("float32")
    modalities: tuple[VectorModality, ...] = ("image", "text")
    for modality in modalities:
        found = sum(
            len(
                keys(large, query, modality, exact=False) & keys(large, query, modality, exact=True)
            )
            for query in queries
        )
        assert found >= 0.95 * 10 * len(queries)


def keys(
    table: ProductTable, query: NDArray[np.float32], modality: VectorModality, exact: bool
) -> set[object]:
    return {hit.product.key for hit in table.search(query, modality=modality, exact=exact)}


def test_hashes_of_shops_are_read_once_and_dropped_when_there_are_too_many():
    reads: list[str] = []

    def read(shop_id: str) -> dict[str, str]:
        reads.append(shop_id)
        return {f"{shop_id}{n}": f"hash {n}" for n in range(10)}

    hashes = StoredHashes(read, max_hashes=25)
    assert hashes.get(("a", "a3")) == "hash 3" and hashes.get(("a", "b3")) is None
    assert hashes.get(("b", "b9")) == "hash 9" and hashes.get(("a", "a0")) == "hash 0"
    assert reads == ["a", "b"]
    assert hashes.get(("c", "c1")) == "hash 1" and hashes.get(("a", "a1")) == "hash 1"
    assert reads == ["a", "b", "c"]  # b was dropped, a was used later
    assert hashes.get(("b", "b1")) == "hash 1" and reads[3:] == ["b"]


def encoded_batches(count: int, size: int) -> Iterator[EncodedBatch]:
    for number in range(count):
        ids = [f"{number}-{row}" for row in range(size)]
        product = Product(ids[0], "a")
        rows = pa.table({"product_id": ids})
        yield EncodedBatch(tuple(("", i) for i in ids), rows, ((product, "x"),), ())


@pytest.mark.parametrize(("row_count", "writes"), [(0, 6), (80_000, 3), (10**7, 1)])
def test_batches_are_joined_to_a_share_of_the_table(row_count: int, writes: int):
    batches = list(encoded_batches(6, 40))
    joined = list(join_batches(batches, row_count))
    assert len(joined) == writes
    assert [key for one in joined for key in one.keys] == [k for one in batches for k in one.keys]
    rows = pa.concat_tables(one.table for one in joined)
    assert rows["product_id"].to_pylist() == [key[1] for one in batches for key in one.keys]
    assert sum(len(one.rejected) for one in joined) == 6


def test_a_write_has_a_largest_size():
    joined = list(join_batches(encoded_batches(12, 1000), 10**9))
    assert [len(one.keys) for one in joined] == [5000, 5000, 2000]
    assert MAX_ROWS <= 5000


def test_merging_while_a_table_grows_rewrites_each_row_a_few_times():
    """LanceDB merges all rows that are not in a file of a million rows."""
    rows = rewritten = new_rows = new_files = most_files = 0
    while rows < 5_000_000:
        write = max(32, min(4096, rows // 1000))
        rows, new_rows, new_files = rows + write, new_rows + write, new_files + 1
        most_files = max(most_files, new_files)
        if maintenance.is_merge_due(new_files, new_rows, rows):
            rewritten += min(rows % maintenance.MAX_FILE_ROWS + new_rows, rows)
            new_rows = new_files = 0
    assert rewritten < 6 * rows and most_files < 500


def test_a_small_change_does_not_merge_a_large_table(
    large: ProductTable, monkeypatch: pytest.MonkeyPatch
):
    large.optimize()
    monkeypatch.setattr(maintenance, "CHEAP_ROWS", 1000)
    folder = Path(large.path) / "products.lance" / "data"
    data_files = set(folder.iterdir())
    large.update(products_with_title(3, "s0"), FakeEncoder(), UpdateOptions(batch_size=2))
    assert not large.needs_merge(3) and large.needs_merge(100)
    written = set(folder.iterdir()) - data_files
    assert len(written) == 1  # nothing else is rewritten
    for number in range(maintenance.MIN_FILES):
        large.write_rows(random_rows(np.random.default_rng(number), 10_000 + number, 1))
    assert large.needs_merge(0)
