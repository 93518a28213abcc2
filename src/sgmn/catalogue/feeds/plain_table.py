"""Plain tables and Google Merchant Center tables (.csv, .tsv, .txt).

Merchant Center names (`id`, `image_link`, `product_type`, with or without the prefix `g:`) are
accepted beside our own. A column with an unknown name becomes an attribute. In a table with
`item_group_id`, the options of a variant are added to its title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

# The names that shops use for each column of ours. Of several in one table the first counts, and
# the others become attributes.
COLUMN_ALIASES: Mapping[str, tuple[str, ...]] = {
    "product_id": ("product_id", "id", "sku", "item_id", "offer_id"),
    "title": ("title", "name", "product_title", "product_name"),
    "image": ("image", "image_link", "image_url", "image_path", "picture", "photo"),
    "images": ("images", "additional_image_link", "additional_image_links"),
    "category": ("category", "product_type", "google_product_category", "product_category"),
    "shop_id": ("shop_id", "shop", "store_id", "store"),
}
# The attributes in which the variants of a Merchant Center item group may differ.
VARIANT_ATTRIBUTES = ("color", "size", "pattern", "material")
HEADER_REMEDY = "start with a header that names product_id, and title or image"
_MAX_LISTED_CHARACTERS = 200  # of the columns that an error lists


def find_columns(columns: Sequence[str]) -> dict[str, str]:
    """Our names of a table's columns, and the names that the table has for them."""
    return {
        column: chosen
        for column, aliases in COLUMN_ALIASES.items()
        if (chosen := next((alias for alias in aliases if alias in columns), None))
    }


def read(document: Document, table: Table) -> Rows:
    """The listings of a table.

    Raises RecordError for a table without header, or without a column of product ids.
    """
    if not table.columns:
        raise document.error("has no header line", remedy=HEADER_REMEDY)
    names = find_columns(table.columns)
    if "product_id" not in names or not {"title", "image"} & names.keys():
        listed = ", ".join(table.columns)[:_MAX_LISTED_CHARACTERS]
        message = f"has the columns {listed}".encode(errors="backslashreplace").decode()
        raise document.error(message, table.header_line, remedy=HEADER_REMEDY)
    for row in table.rows():
        if isinstance(row, RecordError):
            yield row
            continue
        try:
            yield _parse_row(row, names)
        except RecordError as error:
            yield error


def _parse_row(row: Row, names: Mapping[str, str]) -> Listing:
    values = {column: row.get(name) for column, name in names.items()}
    where = row.where(names["product_id"])
    known = set(names.values())
    attributes = {name: cell for name, cell in row.cells.items() if name not in known}
    if "description" in attributes:
        attributes["description"] = strip_html(attributes["description"])
    title = values.get("title", "")
    if attributes.get("item_group_id"):
        title = add_options(title, (attributes.get(name, "") for name in VARIANT_ATTRIBUTES))
    return Listing(
        where,
        require_id(values["product_id"], "product_id", where),
        title,
        unique([values.get("image", ""), *values.get("images", "").split(",")]),
        values.get("shop_id", ""),
        values.get("category", ""),
        drop_empty(attributes),
    )
