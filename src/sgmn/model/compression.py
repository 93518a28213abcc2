"""Product tokens in a quarter of their room: one byte a number, one scale a token.

Symmetric quantisation: number ≈ scale · byte, with bytes of -127..127 and the scale that gives
the largest number of a token its full byte. A number is off by half its token's scale at most.

Axes: S products, R tokens a product, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_LARGEST = 127
_SCALE = np.dtype("<f2")
_LEAST = 2.0**-14  # smaller scales lose digits as float16


class Compressed(NamedTuple):
    """Tokens as values (S, R, D) int8 and scales (S, R) float16; both 0 for a token of zeros."""

    values: Tensor
    scales: Tensor


def compress(tokens: Tensor) -> Compressed:
    """Tokens (S, R, D), finite and within ±8 million, to bytes; no gradient goes through."""
    tokens = tokens.detach().float()
    largest = tokens.abs().amax(-1)
    scales = (largest / _LARGEST).clamp(min=_LEAST).half()
    # Divided by the scale as it is stored, so that its own rounding does no harm.
    values = (tokens / scales.float().unsqueeze(-1)).round().clamp(-_LARGEST, _LARGEST)
    return Compressed(values.to(torch.int8), scales.masked_fill(largest == 0, 0.0))


def decompress(compressed: Compressed) -> Tensor:
    """The tokens (S, R, D) float32, as near as the bytes tell."""
    return compressed.values.float() * compressed.scales.float().unsqueeze(-1)


def to_bytes(compressed: Compressed) -> list[bytes]:
    """One cell a product: R scales as little-endian float16, then R·D values; R·(D + 2) bytes."""
    scales = compressed.scales.cpu().numpy().astype(_SCALE)
    values = compressed.values.cpu().numpy()
    return [scale.tobytes() + row.tobytes() for scale, row in zip(scales, values, strict=True)]


def count_latents(cell: bytes, width: int) -> int:
    """How many tokens R of D = `width` a cell holds."""
    return len(cell) // (width + _SCALE.itemsize)


def from_bytes(cells: Sequence[bytes], latents: int, width: int) -> Compressed:
    """The products of cells that `to_bytes` made of R = `latents` tokens of D = `width`.

    Raises ValueError for a cell of another size.
    """
    size = latents * (width + _SCALE.itemsize)
    wrong = [len(cell) for cell in cells if len(cell) != size]
    if wrong:
        raise ValueError(f"a cell of {wrong[0]} bytes; {latents} tokens of {width} take {size}")
    rows = np.frombuffer(bytearray().join(cells), np.uint8).reshape(len(cells), size)
    scales, values = np.split(rows, [latents * _SCALE.itemsize], axis=1)
    return Compressed(
        torch.from_numpy(values.reshape(-1, latents, width).view(np.int8)),
        torch.from_numpy(np.ascontiguousarray(scales).view(_SCALE).astype(np.float16)),
    )
