"""Text pooling: the weight of each word, and the reliability of the whole transcript.

Most of what a salesperson says is not about the product: greetings, prices, the shopping cart. A
plain mean over the words drowns the few that name the product.

Axes: B clips, L words, D dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import GAIN_SCALE
from sgmn.model.tokens import ItemTokens


class PooledText(NamedTuple):
    """One vector per transcript, and how reliable it is.

    Attributes:
        text: (B, D) of length 1; zero for a clip without text.
        reliability: (B,) 0..2, a factor of the weight of the text terms in the score; 1 for a
            clip without text.
    """

    text: Tensor
    reliability: Tensor


class TextPooling(nn.Module):
    """Weights the words of a transcript and estimates its reliability, from contextual words.

    Untrained, all words have the same weight and every reliability is 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.importance = nn.Linear(dim, 1, bias=False)
        self.reliability = nn.Linear(dim, 1)
        for layer in (self.importance, self.reliability):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.reliability.bias)

    def forward(self, tokens: ItemTokens) -> PooledText:
        """Pool the words of clips. Clips may have no text."""
        words, mask = tokens.words, tokens.word_mask
        uniform = mask / mask.sum(1, keepdim=True).clamp(min=1)
        change = torch.einsum("bl,bld->bd", self.compute_weights(words, mask) - uniform, words)
        # Scaled to the mean's length: for a tower that returns the mean of its words, the sum
        # is exactly the weighted mean.
        length = masked_mean(words, mask).norm(dim=1, keepdim=True)
        text = functional.normalize(length * tokens.text + change, dim=1)
        text = text * tokens.has_text.unsqueeze(1)
        reliability = 2 * torch.sigmoid(GAIN_SCALE * self.reliability(text).squeeze(1))
        return PooledText(
            text, torch.where(tokens.has_text, reliability, torch.ones_like(reliability))
        )

    def compute_weights(self, words: Tensor, mask: Tensor) -> Tensor:
        """The weight of each word (B, L): sums to 1 over the words of a clip, 0 at padding."""
        logits = GAIN_SCALE * self.importance(functional.normalize(words, dim=-1)).squeeze(-1)
        is_empty = ~mask.any(1, keepdim=True)
        weights: Tensor = logits.masked_fill(~mask & ~is_empty, -torch.inf).softmax(1) * mask
        return weights


def masked_mean(words: Tensor, mask: Tensor) -> Tensor:
    """The mean (B, D) of the words (B, L, D); zero without words."""
    return (words * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
