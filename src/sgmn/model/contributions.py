"""Splits a score into what each of its terms adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from sgmn.model.scoring import Term


def split_score(terms: Mapping[str, Term]) -> dict[str, Tensor]:
    """Return what each term adds to the score (B, S), by name.

    The sum is the score of `scoring.combine_terms`. A missing term adds 0; the others are rescaled.
    Of a pair without a common modality, all terms are missing.
    """
    total = reduce(torch.add, [term.weight for term in terms.values()])
    present = reduce(torch.add, [term.weight * term.presence for term in terms.values()])
    scale = torch.where(present > 0, total / present, 0.0)
    return {name: scale * term.weight * term.presence * term.value for name, term in terms.items()}
