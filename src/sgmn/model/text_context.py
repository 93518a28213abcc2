"""Transcript context: a mention does not mean that the product is on sale.

"This is not the leek from before", "somebody asks for bananas, they come later": the word vectors
of a text tower tell what the words mean, but hardly whether they refer to the product on sale. One
pre-norm transformer layer (Vaswani et al. 2017) updates the words before `text_pooling` weights
them. Guidance uses the words without this update.

Axes: B clips, L words, D dimensions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.text_pooling import masked_mean
from sgmn.model.tokens import ItemTokens

HIDDEN_RATIO = 2  # hidden dimensions of the layer, relative to its input
DROPOUT = 0.1


class TextContext(nn.Module):
    """Updates the words and the text vector of clips. Untrained, it changes nothing."""

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            dim, heads, HIDDEN_RATIO * dim, DROPOUT, "gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: ItemTokens) -> ItemTokens:
        """Update the words and text of clips. Clips may have no text."""
        if not tokens.words.shape[1]:
            return tokens
        words, mask = tokens.words, tokens.word_mask
        change = self.out(self.norm(self._encode(words, mask))) * mask.unsqueeze(-1)
        length = masked_mean(words, mask).norm(dim=1, keepdim=True)
        text = functional.normalize(length * tokens.text + masked_mean(change, mask), dim=1)
        return replace(tokens, words=words + change, text=text)

    def _encode(self, words: Tensor, mask: Tensor) -> Tensor:
        """Apply the layer to words scaled to about unit variance; zero at padding."""
        scaled = functional.normalize(words, dim=-1) * words.shape[-1] ** 0.5
        # Some attention kernels fail on a fully masked row, so a clip without text is unmasked.
        padding = ~mask & mask.any(1, keepdim=True)
        hidden: Tensor = self.layer(scaled, src_key_padding_mask=padding)
        return torch.where(mask.unsqueeze(-1), hidden, torch.zeros_like(hidden))
