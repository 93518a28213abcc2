"""Weighted soft maxima of cosines: what is visible in two of ten frames is not averaged away.

Axes: B clips, U rows of a clip, S products, D dimensions. Leading axes are allowed.
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft_max_cosine(rows: Tensor, weights: Tensor, images: Tensor, temperature: Tensor) -> Tensor:
    """Weighted soft maximum over rows (…, B, U, D) of cosines with images (…, S, D): (…, B, S)."""
    cosines = torch.einsum("...bud,...sd->...bus", rows, images)
    return soft_maximum(cosines, weights, temperature)


def soft_maximum(cosines: Tensor, weights: Tensor, temperature: Tensor) -> Tensor:
    """Weighted soft maximum over the rows of cosines (…, B, U, S): (…, B, S)."""
    padding = (weights == 0).unsqueeze(-1)
    log_weights = weights.unsqueeze(-1).masked_fill(padding, 1.0).log()
    logits = (cosines / temperature + log_weights).masked_fill(padding, -torch.inf)
    # A clip without rows keeps finite logits: the mask removes its weights below.
    logits = logits.masked_fill(padding.all(-2, keepdim=True), 0.0)
    attention = torch.softmax(logits, dim=-2).masked_fill(padding, 0.0)
    return (attention * cosines).sum(-2)
