"""Vectors of products as columns of the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.rows import (
    LATENTS_COLUMN,
    RECORD_COLUMNS,
    VECTOR_COLUMN,
    build_schema,
    record_fields,
    row_id,
)
from sgmn.catalogue.stamp import ModelStamp
from sgmn.errors import IndexingError
from sgmn.model import compression
from sgmn.model.scoring import ProductVectors


def build_table(
    entries: Sequence[IndexEntry], vectors: ProductVectors, stamp: ModelStamp
) -> pa.Table:
    """Rows of the index for S entries and their vectors (S, D), in the same order.

    Raises IndexingError for vectors of the wrong number or width, and for NaN or infinity.
    """
    records = [record_fields(entry.product) for entry in entries]
    columns: dict[str, Any] = {
        name: [record[name] for record in records] for name in RECORD_COLUMNS
    }
    columns["id"] = [row_id(entry.product.key) for entry in entries]
    columns["content_hash"] = [entry.content_hash for entry in entries]
    columns["thumbnail"] = [entry.thumbnail for entry in entries]
    count = len(entries)
    columns[VECTOR_COLUMN["image"]] = _to_column(vectors.image, vectors.has_image, count, stamp)
    columns[VECTOR_COLUMN["text"]] = _to_column(vectors.text, vectors.has_text, count, stamp)
    columns[LATENTS_COLUMN] = _to_cells(vectors.latents)
    return pa.table(columns, schema=build_schema(stamp))


def _to_cells(latents: Tensor) -> list[bytes] | list[None]:
    """The re-ranker's tokens (S, R, D), one cell per product; None where the model has none."""
    if not latents.shape[1]:
        return [None] * len(latents)
    return compression.to_bytes(compression.compress(latents))


def _to_column(vectors: Tensor, present: Tensor, count: int, stamp: ModelStamp) -> pa.Array:
    if tuple(vectors.shape) != (count, stamp.dim) or tuple(present.shape) != (count,):
        raise IndexingError(
            f"returned vectors of shape {tuple(vectors.shape)} for {count} products of width "
            f"{stamp.dim}",
            where="the encoder",
            remedy="return one vector per product, of the width of the index",
        )
    if not bool(vectors[present].isfinite().all()):
        raise IndexingError(
            "returned a vector with NaN or infinity", "the encoder", "check the model"
        )
    values = vectors.detach().to("cpu", torch.float32).contiguous().numpy()
    absent = ~present.detach().cpu().numpy()
    return pa.FixedSizeListArray.from_arrays(
        pa.array(values.ravel()), stamp.dim, mask=pa.array(absent)
    )


def parse_vectors(rows: pa.Table, dim: int) -> ProductVectors:
    """The vectors (S, dim) of S rows; zeros, with a presence of False, where a row has none."""
    image, has_image = _to_tensor(rows[VECTOR_COLUMN["image"]], dim)
    text, has_text = _to_tensor(rows[VECTOR_COLUMN["text"]], dim)
    cells = rows[LATENTS_COLUMN].to_pylist()
    if None in cells:
        return ProductVectors(image, has_image, text, has_text)
    count = compression.count_latents(cells[0], dim)
    latents = compression.decompress(compression.from_bytes(cells, count, dim))
    return ProductVectors(image, has_image, text, has_text, latents)


def _to_tensor(column: pa.ChunkedArray, dim: int) -> tuple[Tensor, Tensor]:
    present = np.array(column.is_valid().to_numpy(), dtype=bool)
    values = np.zeros((len(column), dim), dtype=np.float32)
    stored = column.drop_null().combine_chunks()
    values[present] = stored.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return torch.from_numpy(values), torch.from_numpy(present)
