"""The pairwise re-ranker: a product asks the clip, and what it reads is held against it.

A product becomes R latents without any clip; a clip becomes keys and values without any product.
Both are computed once and cached, which is exact. Left for the pair is one small attention and
one small comparison. Learned queries that read a set of any size are after Perceiver (Jaegle et
al. 2021, arXiv 2103.03206), levelled queries and keys after Henry et al. (2020, arXiv 2010.04245).

Axes: B clips, S products, R latents a product, K candidates a clip, L tokens, H heads,
d width of a head, D width.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.tokens import ItemTokens

HEAD = 64  # d: the arithmetic of a pair grows with H·d, not with D
HIDDEN = 64


class ClipSide(NamedTuple):
    """Clips as products read them: keys and values (B, H, L, d), mask (B, L) bool."""

    keys: Tensor
    values: Tensor
    mask: Tensor


class ProductSide(NamedTuple):
    """Products as they ask and compare: queries (S, H, R, d), own (S, R, H·d), there (S,) bool."""

    queries: Tensor
    values: Tensor
    mask: Tensor


class Fusion(nn.Module):
    """Scores of pairs, unbounded; a fresh one gives 0 for every pair.

    Both sides start with the same projections: from the first step on, a product's query finds
    the tokens like it, and what is read lies in the space of what it is compared with.
    """

    def __init__(self, dim: int, heads: int = 1, latents: int = 8) -> None:
        super().__init__()
        self.heads, inner = heads, heads * HEAD
        self.latent_queries = nn.Parameter(
            3.0 * torch.randn(latents, dim)
        )  # 3: each picks few tokens
        self.modality_bias = nn.Parameter(torch.zeros(latents, 2))  # to patches, to words
        self.clip_projection = nn.Linear(
            dim, 2 * inner, bias=False
        )  # a clip's token to key and value
        self.product_projection = nn.Linear(
            dim, 2 * inner, bias=False
        )  # a latent to query and own value
        self.log_sharpness = nn.Parameter(torch.full((heads,), log(10.0)))
        self.hidden = nn.Linear(inner, HIDDEN)
        self.output = nn.Linear(HIDDEN, 1, bias=False)
        nn.init.orthogonal_(self.clip_projection.weight)
        self.product_projection.load_state_dict(self.clip_projection.state_dict())
        nn.init.zeros_(self.output.weight)

    def encode_products(self, tokens: ItemTokens) -> Tensor:
        """Products to latents (S, R, D): each the mean of the tokens that its slot looks for.

        A product with neither picture nor title gives zeros.
        """
        patches, words = _levelled(tokens.patches.flatten(1, 2)), _levelled(tokens.words)
        shown = (tokens.patch_mask & tokens.image_mask.unsqueeze(-1)).flatten(1, 2)
        mask = torch.cat([shown, tokens.word_mask], 1).unsqueeze(1)
        logits = self._logits(patches, words).masked_fill(~mask, -torch.inf)
        # Nothing there: any logits will do, as nothing of it is weighed or learnt from.
        logits = logits.masked_fill(~mask.any(-1, keepdim=True), 0.0)
        shares, first = logits.softmax(-1) * mask, patches.shape[1]
        return shares[..., :first] @ patches + shares[..., first:] @ words

    def _logits(self, patches: Tensor, words: Tensor) -> Tensor:
        """How much each slot looks for each token: (S, R, L), the patches before the words."""
        slots = self.latent_queries * self.latent_queries.shape[-1] ** -0.5
        to_patches, to_words = self.modality_bias[:, :1], self.modality_bias[:, 1:]
        return torch.cat([slots @ patches.mT + to_patches, slots @ words.mT + to_words], -1)

    def prepare_products(self, latents: Tensor) -> ProductSide:
        """Latents (S, R, D) to what their pairs need, once for all clips."""
        queries, own = self._split(self.product_projection(latents))
        sharpness = self.log_sharpness.exp().clamp(max=100.0)[:, None, None]
        there = (latents != 0).flatten(1).any(1)
        return ProductSide(queries * sharpness, own.transpose(1, 2).flatten(2), there)

    def prepare_clips(self, tokens: Tensor, mask: Tensor) -> ClipSide:
        """Clips' tokens (B, L, D), a set in any order, and mask (B, L) to what their pairs need."""
        return ClipSide(*self._split(self.clip_projection(tokens)), mask)

    def _split(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """(…, L, 2·H·d) to a pair of (…, H, L, d), levelled."""
        heads = _levelled(both.view(*both.shape[:-1], 2, self.heads, HEAD))
        first, second = heads.unbind(-3)
        return first.transpose(-2, -3), second.transpose(-2, -3)

    def forward(self, clips: ClipSide, latents: Tensor | ProductSide) -> Tensor:
        """The score of every pair (B, S); 0 where the clip or the product has nothing.

        latents: (S, R, D) of `products`, or what `shelf` made of them.
        """
        asked = self._asked(latents)
        queries = asked.queries.transpose(0, 1).flatten(1, 2)  # (H, S·R, d)
        return self._compared(clips, asked, queries.expand(clips.mask.shape[0], -1, -1, -1))

    def score_candidates(self, clips: ClipSide, latents: Tensor | ProductSide, places: Tensor) -> Tensor:
        """The scores (B, K) of each clip's candidates alone, at `places` (B, K) long of S."""
        if isinstance(latents, Tensor) and places.numel() < len(latents):
            latents, places = latents[places.flatten()], _counted(places)
        asked = ProductSide(*(side[places] for side in self._asked(latents)))
        return self._compared(clips, asked, asked.queries.transpose(1, 2).flatten(2, 3))

    def _asked(self, latents: Tensor | ProductSide) -> ProductSide:
        return latents if isinstance(latents, ProductSide) else self.prepare_products(latents)

    def _compared(self, clips: ClipSide, asked: ProductSide, queries: Tensor) -> Tensor:
        """The scores (B, S) of products (…, S, R, H·d) with their queries (B, H, S·R, d)."""
        read = _read(clips, queries).view(queries.shape[0], *asked.values.shape[-3:])
        found: Tensor = self.output(functional.gelu(self.hidden(read * asked.values)).mean(-2))
        return found.squeeze(-1) * (clips.mask.any(1, keepdim=True) & asked.mask)


def _read(clips: ClipSide, queries: Tensor) -> Tensor:
    """What queries (B, H, Q, d) find in their clips: (B, Q, H·d), levelled."""
    # A clip with nothing: any token will do, as nothing of it is weighed or learnt from.
    mask = clips.mask | ~clips.mask.any(1, keepdim=True)
    read = functional.scaled_dot_product_attention(
        queries, clips.keys, clips.values, mask[:, None, None], scale=1 / HEAD
    )
    return _levelled(read).transpose(1, 2).flatten(2)


def _levelled(rows: Tensor) -> Tensor:
    """Mean 0 and variance 1 along the last axis; a dot product is then a correlation, times d."""
    return functional.layer_norm(rows, rows.shape[-1:], eps=1e-8)


def _counted(places: Tensor) -> Tensor:
    """0, 1, 2, … in the shape of `places`."""
    return torch.arange(places.numel(), device=places.device).view(places.shape)
