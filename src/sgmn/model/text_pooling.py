"""Which words of a transcript count, and how much the transcript tells at all.

Most of what a salesperson says is not about the product: greetings, prices, the basket. A plain
mean over the words drowns the few that are. Axes: B clips, L words, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import GAIN_SCALE
from sgmn.model.tokens import ItemTokens


class PooledText(NamedTuple):
    """What is said, with the words that count made to count.

    text: (B, D) of length 1, zero for a silent clip. reliability: (B,) how much it tells, 0..2, 1
    where nothing is known; it multiplies the weight of the words' terms in the score.
    """

    text: Tensor
    reliability: Tensor


class TextPooling(nn.Module):
    """A share of each word and the weight of all, both from the words in context.

    Fresh, every word counts alike and every transcript tells 1: it changes nothing. `GAIN_SCALE` lets
    the two vectors, which begin at zero, move at the rate of everything else.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.importance = nn.Linear(dim, 1, bias=False)
        self.reliability = nn.Linear(dim, 1)
        for layer in (self.importance, self.reliability):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.reliability.bias)

    def forward(self, tokens: ItemTokens) -> PooledText:
        """Clips, of which any may be silent."""
        words, mask = tokens.words, tokens.word_mask
        changed = self.shares(words, mask) - mask / mask.sum(1, keepdim=True).clamp(min=1)
        # The mean's own length, so that for a tower that says the mean this is the weighted mean.
        length = mean(words, mask).norm(dim=1, keepdim=True)
        said = length * tokens.text + torch.einsum("bl,bld->bd", changed, words)
        said = functional.normalize(said, dim=1) * tokens.has_text.unsqueeze(1)
        reliability = 2 * torch.sigmoid(GAIN_SCALE * self.reliability(said).squeeze(1))
        return PooledText(
            said, torch.where(tokens.has_text, reliability, torch.ones_like(reliability))
        )

    def shares(self, words: Tensor, mask: Tensor) -> Tensor:
        """Each word's share (B, L): sums to 1 over a clip's words, exactly 0 at padding."""
        logits = GAIN_SCALE * self.importance(functional.normalize(words, dim=-1)).squeeze(-1)
        silent = ~mask.any(1, keepdim=True)
        found: Tensor = logits.masked_fill(~mask & ~silent, -torch.inf).softmax(1) * mask
        return found


def mean(words: Tensor, mask: Tensor) -> Tensor:
    """The plain mean (B, D) of the words; zero where there are none."""
    return (words * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
