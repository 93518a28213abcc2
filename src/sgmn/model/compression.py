"""Product tokens in a quarter of their size: one byte per number, one scale per token.

Symmetric quantization: number ≈ scale · byte, with bytes in -127..127 and a scale that maps the
largest number of a token to ±127. The error of a number is at most half the scale of its token.

Axes: S products, R tokens per product, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_MAX_BYTE = 127
_SCALE = np.dtype("<f2")
SCALE_BYTES = _SCALE.itemsize
_MIN_SCALE = 2.0**-14  # smaller scales lose precision as float16


class Compressed(NamedTuple):
    """Quantized tokens.

    Attributes:
        values: (S, R, D) int8, 0 for a token of zeros.
        scales: (S, R) float16, 0 for a token of zeros.
    """

    values: Tensor
    scales: Tensor


def compress(tokens: Tensor) -> Compressed:
    """Quantize tokens (S, R, D), which must be finite and within ±8 million. Has no gradient."""
    tokens = tokens.detach().float()
    largest = tokens.abs().amax(-1)
    scales = (largest / _MAX_BYTE).clamp(min=_MIN_SCALE).half()
    # Divided by the stored scale, so that rounding the scale adds no error.
    values = (tokens / scales.float().unsqueeze(-1)).round().clamp(-_MAX_BYTE, _MAX_BYTE)
    return Compressed(values.to(torch.int8), scales.masked_fill(largest == 0, 0.0))


def decompress(compressed: Compressed) -> Tensor:
    """Return the approximate tokens (S, R, D) float32."""
    return compressed.values.float() * compressed.scales.float().unsqueeze(-1)


def to_bytes(compressed: Compressed) -> list[bytes]:
    """Encode each product as one cell of R·(D + 2) bytes.

    A cell holds R scales as little-endian float16, then R·D values.
    """
    scales = compressed.scales.cpu().numpy().astype(_SCALE)
    values = compressed.values.cpu().numpy()
    return [scale.tobytes() + row.tobytes() for scale, row in zip(scales, values, strict=True)]


def count_latents(cell: bytes, dim: int) -> int:
    """The number R of tokens with D = `dim` in a cell."""
    return len(cell) // (dim + SCALE_BYTES)


def from_bytes(cells: Sequence[bytes], latents: int, dim: int) -> Compressed:
    """Decode cells of R = `latents` tokens with D = `dim`; the inverse of `to_bytes`.

    Raises ValueError for a cell of another size.
    """
    size = latents * (dim + SCALE_BYTES)
    wrong_sizes = [len(cell) for cell in cells if len(cell) != size]
    if wrong_sizes:
        raise ValueError(
            f"cell of {wrong_sizes[0]} bytes, expected {size} for {latents} tokens of {dim}"
        )
    rows = np.frombuffer(bytearray().join(cells), np.uint8).reshape(len(cells), size)
    scales, values = np.split(rows, [latents * SCALE_BYTES], axis=1)
    return Compressed(
        torch.from_numpy(values.reshape(-1, latents, dim).view(np.int8)),
        torch.from_numpy(np.ascontiguousarray(scales).view(_SCALE).astype(np.float16)),
    )
