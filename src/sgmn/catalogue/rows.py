"""The schema of an index, and products as rows.

A vector that a product lacks is null in its row, never zeros. Vectors are read and written in
`vectors.py`, so that this module does not need PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from sgmn.catalogue.stamp import ModelStamp, to_metadata
from sgmn.errors import IndexingError
from sgmn.records import Product

ProductKey = tuple[str, str]  # (shop_id, product_id)
VectorModality = Literal["image", "text"]

RECORD_COLUMNS = [
    "shop_id",
    "product_id",
    "title",
    "category",
    "image",
    "images",
    "attributes",
    "extra",
]
VECTOR_COLUMN: Mapping[VectorModality, str] = {"image": "image_vector", "text": "text_vector"}
LATENTS_COLUMN = "latents"  # what the re-ranker reads of a product
PATCHES_COLUMN = "patches"  # what late interaction reads of a product
SHELF_COLUMNS = [*RECORD_COLUMNS, *VECTOR_COLUMN.values(), LATENTS_COLUMN, PATCHES_COLUMN]
_IDS_PER_FILTER = 500
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # four times faster than json.dumps on strings
# LanceDB detects conflicting rows of two writers only by this key, which must be set in the table
# and in the data, and only as long as no index exists on the column. Never create one on it.
_PRIMARY_KEY = {b"lance-schema:unenforced-primary-key": b"true"}


def build_schema(stamp: ModelStamp) -> pa.Schema:
    """The columns of an index built by the model of `stamp`, with the stamp as metadata."""
    vector = pa.list_(pa.float32(), stamp.dim)
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
            pa.field("shop_id", pa.string(), nullable=False),
            pa.field("product_id", pa.string(), nullable=False),
            pa.field("title", pa.string(), nullable=False),
            pa.field("category", pa.string(), nullable=False),
            pa.field("image", pa.string()),
            pa.field("images", pa.list_(pa.string())),
            pa.field("attributes", pa.string(), nullable=False),
            pa.field("extra", pa.string(), nullable=False),
            pa.field("content_hash", pa.string(), nullable=False),
            pa.field(VECTOR_COLUMN["image"], vector),
            pa.field(VECTOR_COLUMN["text"], vector),
            pa.field(LATENTS_COLUMN, pa.binary()),  # one byte a number, see model.compression
            pa.field(PATCHES_COLUMN, pa.binary()),  # as above, after a header of their width
            pa.field("thumbnail", pa.binary()),
        ],
        metadata=to_metadata(stamp),
    )


def row_id(key: ProductKey) -> str:
    """The primary key of a row: (shop_id, product_id) as JSON, so that no two keys collide."""
    shop_id, product_id = map(_ENCODER.encode, key)
    return f"[{shop_id}, {product_id}]"


def sql_literal(text: str) -> str:
    """A string literal for a filter, which is raw SQL: only quotes need escaping."""
    if "\0" in text:
        raise IndexingError(
            "contains a null character", where=f"id {text!r}", remedy="check the id"
        )
    return "'" + text.replace("'", "''") + "'"


def sql_lists(ids: Sequence[str]) -> list[str]:
    """The ids as comma-separated literals for filters, in lists of a length LanceDB accepts."""
    chunks = [ids[i : i + _IDS_PER_FILTER] for i in range(0, len(ids), _IDS_PER_FILTER)]
    return [", ".join(map(sql_literal, chunk)) for chunk in chunks]


def record_fields(product: Product) -> dict[str, Any]:
    """The product's record as columns; image paths become absolute.

    Raises TypeError or ValueError for attributes that JSON cannot represent.
    """
    return {
        "shop_id": product.shop_id,
        "product_id": product.product_id,
        "title": product.title,
        "category": product.category,
        "image": None if product.image is None else str(product.image.absolute()),
        "images": [str(path.absolute()) for path in product.images],
        "attributes": _to_json(product.attributes),
        "extra": _to_json(product.extra),
    }


def _to_json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), ensure_ascii=False, allow_nan=False, sort_keys=True)


def parse_product(row: Mapping[str, Any]) -> Product:
    """The product of a row that has at least the columns RECORD_COLUMNS."""
    return Product(
        product_id=row["product_id"],
        title=row["title"],
        image=None if row["image"] is None else Path(row["image"]),
        images=tuple(Path(path) for path in row["images"] or ()),
        shop_id=row["shop_id"],
        category=row["category"],
        attributes=json.loads(row["attributes"]),
        extra=json.loads(row["extra"]),
    )
