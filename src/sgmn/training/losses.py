"""Losses: all are means over their rows, so a weight means the same at any batch size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def info_nce(logits: Tensor, positive: Tensor) -> Tensor:
    """Symmetric multi-positive InfoNCE: a scalar >= 0.

    logits: (B, S), the score times the logit scale. positive: (B, S) bool. Each row's loss is
    -mean over its positives of log softmax (van den Oord et al. 2018; several positives as
    L_out of Khosla et al. 2020); a row or column without a positive is left out of the mean.
    """
    return (_one_way(logits, positive) + _one_way(logits.T, positive.T)) / 2


def _one_way(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean over the rows that have a positive; the other columns are their negatives."""
    has = positive.any(1)
    log_share = functional.log_softmax(logits[has].float(), dim=1)
    wanted = positive[has] / positive[has].sum(1, keepdim=True)
    return -(log_share * wanted).sum(1).mean()
