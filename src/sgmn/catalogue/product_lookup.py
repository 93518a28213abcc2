"""Single products and pages of products, read from an index without vectors or a model."""

from __future__ import annotations

from typing import Any

from sgmn.catalogue import rows
from sgmn.catalogue.table import ProductTable
from sgmn.records import Product


class ProductLookup:
    """Looks up products of one shop in a table.

    Args:
        table: The table of an index.
        shop_id: The shop.
    """

    def __init__(self, table: ProductTable, shop_id: str) -> None:
        self.table, self.shop_id = table, shop_id

    def page(self, after: str | None, count: int) -> list[Product]:
        """At most `count` products ordered by their id, those after the id `after`."""
        ids = [product_id for _, product_id in self.table.product_keys(self.shop_id)]
        ids = sorted(product_id for product_id in ids if after is None or product_id > after)
        found = {p.product_id: p for p in map(rows.parse_product, self._find(ids[:count]))}
        return [found[product_id] for product_id in ids[:count] if product_id in found]

    def get(self, product_id: str) -> Product | None:
        """The product with an id, if there is one."""
        found = self._find([product_id])
        return rows.parse_product(found[0]) if found else None

    def thumbnail(self, product_id: str) -> bytes | None:
        """A small JPEG of a product, if it exists and has an image."""
        found = self._find([product_id], ["thumbnail"])
        return found[0]["thumbnail"] if found else None

    def _find(self, ids: list[str], columns: list[str] | None = None) -> list[dict[str, Any]]:
        keys = [rows.row_id((self.shop_id, product_id)) for product_id in ids]
        return [
            row
            for listed in rows.sql_lists(keys)
            for row in self.table.select(columns or rows.RECORD_COLUMNS, f"id IN ({listed})")
        ]
