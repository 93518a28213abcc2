"""Shopify product CSV, with the column names of both the older and the newer export.

The rows of one handle belong to one product: its first row has the title, rows with a price, an
SKU or option values are variants, and other rows add images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sgmn.catalogue.feeds import shopify
from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import Listing, Rows, drop_empty, require_id, strip_html
from sgmn.catalogue.feeds.table import Row, Table
from sgmn.errors import RecordError

# Our names of the columns, and Shopify's: older export, newer export.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "handle": ("handle", "url_handle"),
    "title": ("title",),
    "description": ("body_(html)", "body_html", "description"),
    "brand": ("vendor",),
    "category": ("type", "product_category"),
    "tags": ("tags",),
    "status": ("status",),
    "sku": ("variant_sku", "sku"),
    "price": ("variant_price", "price"),
    "gtin": ("variant_barcode", "barcode"),
    "quantity": ("variant_inventory_qty", "inventory_quantity"),
    "policy": ("variant_inventory_policy", "continue_selling_when_out_of_stock"),
    "image": ("image_src", "product_image_url"),
    "variant_image": ("variant_image", "variant_image_url"),
}


def matches(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is a Shopify export."""
    names = set(columns)
    has_handle = bool({"handle", "url_handle"} & names)
    return has_handle and "title" in names and bool(names & set(_VARIANT_COLUMNS))


_VARIANT_COLUMNS = ("option1_name", "option1_value", "variant_price", "variant_sku", "image_src")


@dataclass
class _Product:
    """The rows of one handle."""

    first: Row
    titled: Row
    variants: list[Row] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    option_names: list[str] = field(default_factory=list)


def read(document: Document, table: Table) -> Rows:
    """The listings of a Shopify export, one for each variant."""
    for product in _group_rows(table):
        if isinstance(product, RecordError):
            yield product
            continue
        for row in product.variants:
            try:
                yield _parse_variant(product, row)
            except RecordError as error:
                yield error


def _group_rows(table: Table) -> Iterator[_Product | RecordError]:
    """The products, in the order of their first rows; handles may be interleaved."""
    products: dict[str, _Product] = {}
    for row in table.rows():
        if isinstance(row, RecordError):
            yield row
            continue
        handle = _get(row, "handle")
        if not handle:
            where = row.where(_column(row, "handle"))
            yield RecordError("'Handle' is missing", where, "give each product a handle")
            continue
        _add_row(products.setdefault(handle, _Product(row, row)), row)
    yield from products.values()


def _add_row(product: _Product, row: Row) -> None:
    if not _get(product.titled, "title") and _get(row, "title"):
        product.titled = row
    if not product.option_names:
        product.option_names = [row.get(f"option{n}_name") for n in shopify.OPTION_NUMBERS]
    if image := _get(row, "image"):
        product.images.append(image)
    is_variant = any(_get(row, name) for name in ("sku", "price")) or row.get("option1_value")
    if row is product.first or is_variant:
        product.variants.append(row)


def _parse_variant(product: _Product, row: Row) -> Listing:
    where, titled = row.where(_column(row, "handle")), product.titled
    handle = require_id(_get(row, "handle"), "Handle", where)
    options = [row.get(f"option{n}_value") for n in shopify.OPTION_NUMBERS]
    variant_image = _get(row, "variant_image")
    return Listing(
        where,
        shopify.variant_id(handle, options),
        shopify.variant_title(strip_html(_get(titled, "title")), options),
        shopify.variant_images(variant_image, product.images),
        category=_get(titled, "category"),
        attributes=drop_empty(
            {name: _get(titled, name) for name in ("brand", "tags", "status")}
            | {name: _get(row, name) for name in ("sku", "price", "gtin")}
            | shopify.option_attributes(product.option_names, options)
            | {
                "description": strip_html(_get(titled, "description")),
                "availability": _availability(row),
                "item_group_id": handle,
            }
        ),
    )


def _availability(row: Row) -> str:
    quantity = _get(row, "quantity")
    if not quantity.lstrip("-").isdigit():
        return ""
    sells_without_stock = _get(row, "policy").lower() in ("continue", "true")
    in_stock = not quantity.startswith("-") and quantity.strip("0") != ""
    return "in_stock" if in_stock or sells_without_stock else "out_of_stock"


def _column(row: Row, name: str) -> str:
    return next((column for column in COLUMNS[name] if column in row.cells), "")


def _get(row: Row, name: str) -> str:
    return next((row.cells[c] for c in COLUMNS[name] if row.cells.get(c)), "")
