"""Contrastive losses. Each is a mean over its rows, so weights do not depend on the batch size.

Axes: B clips, S products, K negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_MASKED = torch.finfo(torch.float32).min  # no probability, and no NaN where a whole row is masked


def info_nce(logits: Tensor, positive: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Compute the symmetric InfoNCE loss with several positives: a scalar >= 0.

    A row's loss is the mean over its positives of -log softmax (van den Oord et al. 2018; several
    positives as in L_out of Khosla et al. 2020). Rows and columns without a positive are left out
    of the mean.

    Args:
        logits: (B, S), the score times the logit scale.
        positive: (B, S) bool.
        ignored: (B, S) bool, pairs that appear in no denominator, such as near-duplicates of a
            positive.

    >>> round(float(info_nce(torch.zeros(2, 2), torch.eye(2) > 0)), 3)
    0.693
    """
    logits = logits.float()
    if ignored is not None:
        logits = logits.masked_fill(ignored & ~positive, _MASKED)
    return (_one_direction(logits, positive) + _one_direction(logits.T, positive.T)) / 2


def pair_loss(scores: Tensor, valid: Tensor) -> Tensor:
    """Compute the cross-entropy of each positive against its hard negatives: a scalar >= 0.

    Args:
        scores: (B, 1 + K) logits; column 0 is the positive.
        valid: (B, K) bool, which negatives count. Rows without a negative are left out of the
            mean.
    """
    kept = functional.pad(valid, (1, 0), value=True)
    log_probs = functional.log_softmax(scores.float().masked_fill(~kept, _MASKED), dim=1)
    return _masked_mean(-log_probs[:, 0], valid.any(1))


def _one_direction(logits: Tensor, positive: Tensor) -> Tensor:
    """Average over the rows that have a positive; the other columns are their negatives."""
    log_probs = functional.log_softmax(logits, dim=1).masked_fill(~positive, 0.0)
    count = positive.sum(1)
    return _masked_mean(-log_probs.sum(1) / count.clamp(min=1), count > 0)


def _masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    """Average the rows of a mask; zero, connected to the graph, if there are none."""
    return losses.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)
