"""Products and their vectors to rows of the index, and rows back.

A vector that a product lacks is null in its row, never zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from sgmn.catalogue.stamp import ModelStamp, to_metadata
from sgmn.errors import IndexingError
from sgmn.model import compression
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent

RECORD = [
    "shop_id",
    "product_id",
    "title",
    "category",
    "image",
    "images",
    "attributes",
    "extra",
]
VECTORS = ["picture", "words", "latents"]
# LanceDB checks two writers against each other only by this mark, in the table and in the
# data alike; and only while no index stands on the column, so none ever may.
_PRIMARY = {b"lance-schema:unenforced-primary-key": b"true"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A product ready to be encoded: its hash, what it shows, and a small JPEG of it."""

    product: Product
    content_hash: str
    content: ProductContent
    thumbnail: bytes | None


def schema(stamp: ModelStamp) -> pa.Schema:
    """The columns of an index made by `stamp`, with the stamp as metadata."""
    vector = pa.list_(pa.float32(), stamp.dim)
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=_PRIMARY),
            pa.field("shop_id", pa.string(), nullable=False),
            pa.field("product_id", pa.string(), nullable=False),
            pa.field("title", pa.string(), nullable=False),
            pa.field("category", pa.string(), nullable=False),
            pa.field("image", pa.string()),
            pa.field("images", pa.list_(pa.string())),
            pa.field("attributes", pa.string(), nullable=False),
            pa.field("extra", pa.string(), nullable=False),
            pa.field("content_hash", pa.string(), nullable=False),
            pa.field("picture", vector),
            pa.field("words", vector),
            pa.field("latents", pa.binary()),  # one byte a number, see model.compression
            pa.field("thumbnail", pa.binary()),
        ],
        metadata=to_metadata(stamp),
    )


def row_id(key: tuple[str, str]) -> str:
    """The primary key of (shop_id, product_id): a JSON list, so no two keys ever meet."""
    return json.dumps(key, ensure_ascii=False)


def quoted(text: str) -> str:
    """A string literal for a filter, which is raw SQL: quotes doubled, nothing else is special."""
    if "\0" in text:
        raise IndexingError("holds a null character", where=f"id {text!r}", remedy="check the id")
    return "'" + text.replace("'", "''") + "'"


def record_fields(product: Product) -> dict[str, Any]:
    """The record as columns; images are absolute paths.

    Raises TypeError or ValueError for attributes that JSON cannot hold.
    """
    return {
        "shop_id": product.shop_id,
        "product_id": product.product_id,
        "title": product.title,
        "category": product.category,
        "image": None if product.image is None else str(product.image.absolute()),
        "images": [str(path.absolute()) for path in product.images],
        "attributes": _json(product.attributes),
        "extra": _json(product.extra),
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), ensure_ascii=False, allow_nan=False, sort_keys=True)


def table(entries: Sequence[Entry], vectors: ProductVectors, stamp: ModelStamp) -> pa.Table:
    """Rows of the index for entries and their vectors (S, D), in the same order."""
    records = [record_fields(entry.product) for entry in entries]
    columns: dict[str, Any] = {name: [record[name] for record in records] for name in RECORD}
    columns["id"] = [row_id(entry.product.key) for entry in entries]
    columns["content_hash"] = [entry.content_hash for entry in entries]
    columns["thumbnail"] = [entry.thumbnail for entry in entries]
    columns["picture"] = _column(vectors.picture, vectors.has_picture, len(entries), stamp)
    columns["words"] = _column(vectors.words, vectors.has_words, len(entries), stamp)
    columns["latents"] = _cells(vectors.latents)
    return pa.table(columns, schema=schema(stamp))


def _cells(latents: Tensor) -> list[bytes] | list[None]:
    """The tokens (S, R, D) of the re-ranker, a cell a product; none where the model has none."""
    if not latents.shape[1]:
        return [None] * len(latents)
    return compression.to_bytes(compression.compress(latents))


def _column(vectors: Tensor, present: Tensor, count: int, stamp: ModelStamp) -> pa.Array:
    if tuple(vectors.shape) != (count, stamp.dim) or tuple(present.shape) != (count,):
        raise IndexingError(
            f"gave vectors {tuple(vectors.shape)} for {count} products of width {stamp.dim}",
            where="the encoder",
            remedy="give one vector a product, of the width of the index",
        )
    if not bool(vectors[present].isfinite().all()):
        raise IndexingError("gave a vector with NaN or infinity", "the encoder", "check the model")
    values = vectors.detach().to("cpu", torch.float32).contiguous().numpy()
    absent = ~present.detach().cpu().numpy()
    return pa.FixedSizeListArray.from_arrays(
        pa.array(values.ravel()), stamp.dim, mask=pa.array(absent)
    )


def product(row: Mapping[str, Any]) -> Product:
    """The record of one row that holds at least the columns RECORD."""
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


def vectors(rows: pa.Table, dim: int) -> ProductVectors:
    """The vectors of S rows: (S, dim) each; where null, zeros that `has_…` tells to ignore."""
    picture, has_picture = _tensor(rows["picture"], dim)
    words, has_words = _tensor(rows["words"], dim)
    cells = rows["latents"].to_pylist()
    if None in cells:
        return ProductVectors(picture, has_picture, words, has_words)
    count = compression.latents_of(cells[0], dim)
    latents = compression.restore(compression.from_bytes(cells, count, dim))
    return ProductVectors(picture, has_picture, words, has_words, latents)


def _tensor(column: pa.ChunkedArray, dim: int) -> tuple[Tensor, Tensor]:
    present = np.array(column.is_valid().to_numpy(), dtype=bool)
    values = np.zeros((len(column), dim), dtype=np.float32)
    given = column.drop_null().combine_chunks()
    values[present] = given.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return torch.from_numpy(values), torch.from_numpy(present)
