from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.errors import IndexingError
from sgmn.records import Product
from tests.catalogue.conftest import MakeProduct
from tests.catalogue.fakes import DIM, FakeEncoder, products_with_title, random_vector

QUERY = random_vector(b"q").numpy()
SPECIAL_IDS = [
    "it's",
    "' OR '1'='1",
    "x'; DROP TABLE products; --",
    '"',
    "\\'",
    "\\",
    "%",
    "商品",
    "a\x1fb",
]


@pytest.mark.parametrize("special_id", SPECIAL_IDS)
def test_ids_are_escaped_in_filters(table: ProductTable, encoder: FakeEncoder, special_id: str):
    special = Product(special_id, title="a", shop_id=special_id)
    table.update([special, *products_with_title(2), *products_with_title(2, "s")], encoder)
    assert table.products(special_id)[0].product_id == special_id
    hits = table.search(QUERY, shop_id=special_id, modality="text")
    assert [hit.product.product_id for hit in hits] == [special_id]
    assert table.shelf(special_id).product_ids == [special_id]
    report = table.remove([special_id, "nobody"], special_id)
    assert (report.count, report.unknown_ids) == (1, ("nobody",))
    assert table.count() == 4


def test_a_null_character_in_a_filter_is_an_error(table: ProductTable):
    with pytest.raises(IndexingError, match="null character"):
        table.products("a\0b")


def test_search_in_one_shop_is_exact_after_every_change(table: ProductTable, encoder: FakeEncoder):
    shops = [f"s{n}" for n in range(4)]
    table.update([p for shop in shops for p in products_with_title(60, shop)], encoder)
    table.build_vector_index("text")
    changed = [Product(f"p{n}", title=f"other {n}", shop_id="s1") for n in range(0, 60, 2)]
    table.update(changed, encoder)
    table.update(products_with_title(20, "s1", start=60), encoder)
    table.remove(["p3", "p4"], "s1")
    assert_exact(table, "s1")
    table.optimize()
    assert_exact(table, "s1")


def assert_exact(table: ProductTable, shop_id: str) -> None:
    shelf = table.shelf(shop_id)
    for seed in range(5):
        query = random_vector(bytes([seed]))
        hits = table.search(query.numpy(), k=10, shop_id=shop_id, modality="text")
        cosines = shelf.vectors.text @ query
        best = cosines.argsort(descending=True)[:10]
        assert [h.product.product_id for h in hits] == [shelf.product_ids[n] for n in best]
        np.testing.assert_allclose([h.score for h in hits], cosines[best], atol=1e-5)


def test_search_across_shops_skips_products_without_that_vector(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    images = [product_with_image("a", (1, 1, 1)), product_with_image("b", (2, 2, 2))]
    table.update([*products_with_title(30), *images], encoder)
    hits = table.search(random_vector(b"x").numpy(), k=5)
    assert {hit.product.product_id for hit in hits} == {"a", "b"}


@pytest.mark.parametrize(
    "query", [np.zeros(DIM), np.ones(DIM + 1), np.full(DIM, np.nan), np.ones((1, DIM))]
)
def test_search_rejects_invalid_vectors(table: ProductTable, query: NDArray[np.float32]):
    with pytest.raises(IndexingError, match="not a vector of this index"):
        table.search(query)


def test_an_empty_table_can_be_queried(table: ProductTable):
    assert table.count() == 0 and table.products() == [] and table.shops() == {}
    assert table.search(QUERY) == []
    assert table.remove(["p"]).unknown_ids == ("p",)
    table.optimize()
    assert table.update([], FakeEncoder(), UpdateOptions(sync=True)).removed == 0


def test_a_vector_index_needs_vectors(table: ProductTable, encoder: FakeEncoder):
    with pytest.raises(IndexingError, match="has no product"):
        table.build_vector_index()
    table.update(products_with_title(3), encoder)
    with pytest.raises(IndexingError, match="no product with an image"):
        table.build_vector_index("image")
    table.build_vector_index()
    table.build_vector_index("text")
    assert len(table.search(QUERY, modality="text")) == 3


def test_a_width_that_cannot_be_indexed_is_an_error(tmp_path: Path):
    table = ProductTable.create_or_open(tmp_path / "index", ModelStamp("f", 12))
    with pytest.raises(IndexingError, match=r"width 12.*search without it"):
        table.build_vector_index()
