"""WooCommerce product CSV.

A variation is a product of its own. It takes from its parent what it lacks, and its options are
added to the title. The parent of variations is not a product; other kinds of rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import (
    Listing,
    Rows,
    drop_empty,
    require_id,
    strip_html,
    unique,
)
from sgmn.catalogue.feeds.table import Row, Table
from sgmn.errors import RecordError
from sgmn.product_text import add_options

_GTIN_COLUMN = "gtin,_upc,_ean,_or_isbn"
_ATTRIBUTE_NUMBERS = range(1, 100)


def matches(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is a WooCommerce export."""
    names = set(columns)
    is_typical = {"regular_price", "tax_status", "parent", "attribute_1_name", "in_stock?"} & names
    return {"type", "name"} <= names and bool({"sku", "id"} & names) and bool(is_typical)


def read(document: Document, table: Table) -> Rows:
    """The listings of a WooCommerce export."""
    rows: list[Row] = []
    for row in table.rows():
        if isinstance(row, RecordError):
            yield row
        else:
            rows.append(row)
    parents = dict(_parent_keys(rows))
    used = {parents[key].line for row in rows if (key := row.get("parent")) in parents}
    for row in rows:
        if row.line in used and "variable" in row.get("type").lower():
            continue
        try:
            yield _parse_row(row, parents)
        except RecordError as error:
            yield error


def _parent_keys(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """The ways in which a variation may name its parent: by SKU, or by id as `id:12`."""
    for row in rows:
        if "variation" not in row.get("type").lower():
            yield f"id:{row.get('id')}", row
            if row.get("sku"):
                yield row.get("sku"), row


def _parse_row(row: Row, parents: Mapping[str, Row]) -> Listing:
    where = row.where("sku" if row.get("sku") else "id")
    product_id = require_id(row.get("sku") or row.get("id"), "SKU", where)
    parent = None
    if "variation" in row.get("type").lower():
        parent = parents.get(row.get("parent"))
        if parent is None:
            message = f"has the parent {row.get('parent')!r}, which is not in the table"
            raise RecordError(message, row.where("parent"), "export the parent too")
    options = _options(row)
    title = strip_html(row.get("name") or (parent.get("name") if parent else ""))
    images = row.get("images") or (parent.get("images") if parent else "")
    return Listing(
        where,
        product_id,
        add_options(title, options.values()) if parent else title,
        unique(images.split(",")),
        category=_get(row, parent, "categories").partition(",")[0],
        attributes=drop_empty(options | _attributes(row, parent)),
    )


def _attributes(row: Row, parent: Row | None) -> dict[str, str]:
    description = _get(row, parent, "description") or _get(row, parent, "short_description")
    return {
        "description": strip_html(description),
        "availability": _availability(row.get("in_stock?")),
        "price": row.get("sale_price") or row.get("regular_price"),
        "gtin": row.get(_GTIN_COLUMN),
        "brand": _get(row, parent, "brands"),
        "tags": _get(row, parent, "tags"),
        "link": row.get("external_url"),
        "item_group_id": (parent.get("sku") or parent.get("id")) if parent else "",
    }


def _get(row: Row, parent: Row | None, name: str) -> str:
    return row.get(name) or (parent.get(name) if parent else "")


def _options(row: Row) -> dict[str, str]:
    """The attributes of a row by name, such as {"color": "Red"}."""
    options = {}
    for number in _ATTRIBUTE_NUMBERS:
        if f"attribute_{number}_name" not in row.cells:
            break
        name = row.get(f"attribute_{number}_name").lower()
        if name:
            options[name] = row.get(f"attribute_{number}_value(s)")
    return options


def _availability(in_stock: str) -> str:
    if in_stock == "backorder":
        return "backorder"
    return {"1": "in_stock", "0": "out_of_stock"}.get(in_stock, "")
