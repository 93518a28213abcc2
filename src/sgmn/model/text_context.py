"""A transcript read once more: what is named in passing is not what is sold.

"This is not the leek from before", "somebody asks for bananas, those come later": a word in context
says what it means, hardly what it is said for. A layer of a transformer (Vaswani et al. 2017, norms
first) over the words changes each of them before they are weighed (`text_pooling.py`). Pictures are
looked at by the words as they were. Axes: B clips, L words, D width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.text_pooling import mean
from sgmn.model.tokens import ItemTokens

WIDER = 2  # the layer's inner width, times its own
DROPOUT = 0.1


class TextContext(nn.Module):
    """Clips with their words as they are meant; a fresh one changes nothing."""

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            dim, heads, WIDER * dim, DROPOUT, "gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: ItemTokens) -> ItemTokens:
        """Clips, of which any may be silent."""
        if not tokens.words.shape[1]:
            return tokens
        words, mask = tokens.words, tokens.word_mask
        change = self.out(self.norm(self._read(words, mask))) * mask.unsqueeze(-1)
        length = mean(words, mask).norm(dim=1, keepdim=True)
        said = functional.normalize(length * tokens.text + mean(change, mask), dim=1)
        return replace(tokens, words=words + change, text=said)

    def _read(self, words: Tensor, mask: Tensor) -> Tensor:
        """Words of about length 1 an element; a silent clip reads its padding, to no effect, as
        not every kernel knows what to make of a row with nothing in it."""
        scaled = functional.normalize(words, dim=-1) * words.shape[-1] ** 0.5
        hidden: Tensor = self.layer(scaled, src_key_padding_mask=~mask & mask.any(1, keepdim=True))
        return torch.where(mask.unsqueeze(-1), hidden, torch.zeros_like(hidden))
