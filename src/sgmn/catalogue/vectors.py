"""Vectors of products as columns of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.rows import (
    LATENTS_COLUMN,
    PATCHES_COLUMN,
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

_HEADER_BYTES = 2  # of a cell of patches: their width


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
    columns[PATCHES_COLUMN] = _to_patch_cells(vectors.patches)
    return pa.table(columns, schema=build_schema(stamp))


def _to_cells(latents: Tensor) -> list[bytes] | list[None]:
    """The re-ranker's tokens (S, R, D), one cell per product; None where the model has none."""
    if not latents.shape[1]:
        return [None] * len(latents)
    return compression.to_bytes(compression.compress(latents))


def _to_patch_cells(patches: Tensor) -> list[bytes] | list[None]:
    """The weighted patches (S, P, W), one cell per product without its padding."""
    if not patches.shape[1]:
        return [None] * len(patches)
    header = patches.shape[2].to_bytes(_HEADER_BYTES, "little")
    counts = (patches != 0).any(-1).sum(1).tolist()  # padding is at the end
    rows = (patches[row : row + 1, :count] for row, count in enumerate(counts))
    return [header + compression.to_bytes(compression.compress(row))[0] for row in rows]


def _parse_patches(cells: list[bytes]) -> Tensor:
    """The weighted patches (S, P, W), padded with zeros."""
    width = int.from_bytes(cells[0][:_HEADER_BYTES], "little")
    rows = []
    for cell in cells:
        values = cell[_HEADER_BYTES:]
        count = compression.count_latents(values, width)
        stored = compression.from_bytes([values], count, width) if count else None
        rows.append(torch.zeros(0, width) if stored is None else compression.decompress(stored)[0])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


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
    vectors = ProductVectors(image, has_image, text, has_text)
    patch_cells, cells = (rows[c].to_pylist() for c in (PATCHES_COLUMN, LATENTS_COLUMN))
    if patch_cells and None not in patch_cells:
        vectors = replace(vectors, patches=_parse_patches(patch_cells))
    if cells and None not in cells:
        count = compression.count_latents(cells[0], dim)
        latents = compression.decompress(compression.from_bytes(cells, count, dim))
        vectors = replace(vectors, latents=latents)
    return vectors


def _to_tensor(column: pa.ChunkedArray, dim: int) -> tuple[Tensor, Tensor]:
    present = np.array(column.is_valid().to_numpy(), dtype=bool)
    values = np.zeros((len(column), dim), dtype=np.float32)
    stored = column.drop_null().combine_chunks()
    values[present] = stored.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return torch.from_numpy(values), torch.from_numpy(present)
