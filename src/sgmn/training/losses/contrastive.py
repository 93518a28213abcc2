"""Losses: all are means over their rows, so a weight means the same at any batch size.

Axes: B clips, S products, K negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LOWEST = torch.finfo(torch.float32).min  # of no share, and no NaN where all of a row is out


def info_nce(logits: Tensor, positive: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Symmetric multi-positive InfoNCE: a scalar >= 0.

    logits: (B, S), the score times the logit scale. positive, ignored: (B, S) bool. Each row's
    loss is -mean over its positives of log softmax (van den Oord et al. 2018; several positives
    as L_out of Khosla et al. 2020); a row or column without a positive is left out of the mean.
    Ignored pairs, such as the near-duplicates of a positive, are in no denominator.
    """
    logits = logits.float()
    if ignored is not None:
        logits = logits.masked_fill(ignored & ~positive, _LOWEST)
    return (_one_way(logits, positive) + _one_way(logits.T, positive.T)) / 2


def pair_loss(scores: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy of each positive against its hard negatives: a scalar >= 0.

    scores: (B, 1 + K) logits, the positive's in column 0. valid: (B, K) bool, which negatives
    count. The mean over the rows with a negative; the others cost nothing and are not counted.
    """
    kept = functional.pad(valid, (1, 0), value=True)
    log_share = functional.log_softmax(scores.float().masked_fill(~kept, _LOWEST), dim=1)
    return _mean(-log_share[:, 0], valid.any(1))


def _one_way(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean over the rows that have a positive; the other columns are their negatives."""
    log_share = functional.log_softmax(logits, dim=1).masked_fill(~positive, 0.0)
    count = positive.sum(1)
    return _mean(-log_share.sum(1) / count.clamp(min=1), count > 0)


def _mean(losses: Tensor, counted: Tensor) -> Tensor:
    """The mean of the counted rows; zero, with its graph, when there are none."""
    return losses.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)
