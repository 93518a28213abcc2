"""The pairwise re-ranker: cross-attention from a product to a clip.

A product becomes R latent tokens without seeing a clip, and a clip becomes keys and values without
seeing a product. Both are computed once and cached without loss. Per pair, only a small attention
and a small comparison remain. Learned queries over a set of any size follow Perceiver (Jaegle et
al. 2021, arXiv 2103.03206); standardized queries and keys follow Henry et al. (2020,
arXiv 2010.04245).

Axes: B clips, S products, R latents per product, K candidates per clip, L tokens, H heads,
d dimensions of a head, D dimensions.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.tokens import ItemTokens

HEAD = 64  # d: the cost of a pair grows with H·d, not with D
HIDDEN = 64


class ClipMemory(NamedTuple):
    """Clips as the products attend to them.

    Attributes:
        keys: (B, H, L, d).
        values: (B, H, L, d).
        mask: (B, L) bool, False at padding.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor


class ProductQueries(NamedTuple):
    """Products as they attend to clips.

    Attributes:
        queries: (S, H, R, d).
        values: (S, R, H·d), compared with what the queries retrieve from a clip.
        mask: (S,) bool, False for a product without tokens.
    """

    queries: Tensor
    values: Tensor
    mask: Tensor


class Fusion(nn.Module):
    """Computes an unbounded score for each pair; 0 for every pair before training.

    The projections of clips and products start equal: from the first step on, a query retrieves
    the tokens similar to it, and the result lies in the same space as the product's values.
    """

    def __init__(self, dim: int, heads: int = 1, latents: int = 8) -> None:
        super().__init__()
        self.heads, inner = heads, heads * HEAD
        # The factor 3 makes each latent select only a few tokens.
        self.latent_queries = nn.Parameter(3.0 * torch.randn(latents, dim))
        self.modality_bias = nn.Parameter(torch.zeros(latents, 2))  # patches, words
        self.clip_projection = nn.Linear(dim, 2 * inner, bias=False)  # keys and values
        self.product_projection = nn.Linear(dim, 2 * inner, bias=False)  # queries and values
        self.log_sharpness = nn.Parameter(torch.full((heads,), log(10.0)))
        self.hidden = nn.Linear(inner, HIDDEN)
        self.output = nn.Linear(HIDDEN, 1, bias=False)
        nn.init.orthogonal_(self.clip_projection.weight)
        self.product_projection.load_state_dict(self.clip_projection.state_dict())
        nn.init.zeros_(self.output.weight)

    def encode_products(self, tokens: ItemTokens) -> Tensor:
        """Encode products as latents (S, R, D), each a weighted mean of the product's tokens.

        A product without image and title gets zeros.
        """
        patches, words = _standardize(tokens.patches.flatten(1, 2)), _standardize(tokens.words)
        patch_mask = (tokens.patch_mask & tokens.image_mask.unsqueeze(-1)).flatten(1, 2)
        mask = torch.cat([patch_mask, tokens.word_mask], 1).unsqueeze(1)
        logits = self._compute_logits(patches, words).masked_fill(~mask, -torch.inf)
        # Rows without tokens keep finite logits: the mask removes their weights below.
        logits = logits.masked_fill(~mask.any(-1, keepdim=True), 0.0)
        weights, patch_count = logits.softmax(-1) * mask, patches.shape[1]
        return weights[..., :patch_count] @ patches + weights[..., patch_count:] @ words

    def _compute_logits(self, patches: Tensor, words: Tensor) -> Tensor:
        """Attention logits (S, R, L) of each latent to each token, patches before words."""
        queries = self.latent_queries * self.latent_queries.shape[-1] ** -0.5
        patch_bias, word_bias = self.modality_bias[:, :1], self.modality_bias[:, 1:]
        return torch.cat([queries @ patches.mT + patch_bias, queries @ words.mT + word_bias], -1)

    def prepare_products(self, latents: Tensor) -> ProductQueries:
        """Project latents (S, R, D), once for all clips."""
        queries, values = self._project_heads(self.product_projection(latents))
        sharpness = self.log_sharpness.exp().clamp(max=100.0)[:, None, None]
        mask = (latents != 0).flatten(1).any(1)
        return ProductQueries(queries * sharpness, values.transpose(1, 2).flatten(2), mask)

    def prepare_clips(self, tokens: Tensor, mask: Tensor) -> ClipMemory:
        """Project the tokens (B, L, D) of clips, in any order, with their mask (B, L)."""
        return ClipMemory(*self._project_heads(self.clip_projection(tokens)), mask)

    def _project_heads(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Split (…, L, 2·H·d) into two standardized tensors (…, H, L, d)."""
        heads = _standardize(projected.view(*projected.shape[:-1], 2, self.heads, HEAD))
        first, second = heads.unbind(-3)
        return first.transpose(-2, -3), second.transpose(-2, -3)

    def forward(self, clips: ClipMemory, products: Tensor | ProductQueries) -> Tensor:
        """Score every pair (B, S); 0 if the clip or the product has no tokens.

        Args:
            clips: The result of `prepare_clips`.
            products: Latents (S, R, D), or the result of `prepare_products`.
        """
        products = self._prepare(products)
        queries = products.queries.transpose(0, 1).flatten(1, 2)  # (H, S·R, d)
        return self._compare(clips, products, queries.expand(clips.mask.shape[0], -1, -1, -1))

    def score_candidates(
        self, clips: ClipMemory, products: Tensor | ProductQueries, candidates: Tensor
    ) -> Tensor:
        """Score each clip with its own candidates (B, K), which are indices into the products."""
        if isinstance(products, Tensor) and candidates.numel() < len(products):
            products, candidates = products[candidates.flatten()], _renumber(candidates)
        selected = ProductQueries(*(rows[candidates] for rows in self._prepare(products)))
        return self._compare(clips, selected, selected.queries.transpose(1, 2).flatten(2, 3))

    def _prepare(self, products: Tensor | ProductQueries) -> ProductQueries:
        return products if isinstance(products, ProductQueries) else self.prepare_products(products)

    def _compare(self, clips: ClipMemory, products: ProductQueries, queries: Tensor) -> Tensor:
        """Score (B, S) of products with values (…, S, R, H·d) and queries (B, H, S·R, d)."""
        retrieved = _attend(clips, queries).view(queries.shape[0], *products.values.shape[-3:])
        hidden = functional.gelu(self.hidden(retrieved * products.values)).mean(-2)
        scores: Tensor = self.output(hidden)
        return scores.squeeze(-1) * (clips.mask.any(1, keepdim=True) & products.mask)


def _attend(clips: ClipMemory, queries: Tensor) -> Tensor:
    """Attention of queries (B, H, Q, d) to their clips: (B, Q, H·d), standardized."""
    # A clip without tokens attends to padding: its score is masked later.
    mask = clips.mask | ~clips.mask.any(1, keepdim=True)
    retrieved = functional.scaled_dot_product_attention(
        queries, clips.keys, clips.values, mask[:, None, None], scale=1 / HEAD
    )
    return _standardize(retrieved).transpose(1, 2).flatten(2)


def _standardize(rows: Tensor) -> Tensor:
    """Mean 0 and variance 1 along the last axis, so that a dot product is d times a correlation."""
    return functional.layer_norm(rows, rows.shape[-1:], eps=1e-8)


def _renumber(indices: Tensor) -> Tensor:
    """0, 1, 2, … in the shape of `indices`."""
    return torch.arange(indices.numel(), device=indices.device).view(indices.shape)
