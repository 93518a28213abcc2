"""Instance-level interaction: the clips and products of a group attend to each other.

The nodes are clips and products together. Each node receives messages from its most similar clips
and products: similar by cosine within a kind, by the score of the first pass across kinds. The
attention has this similarity as a bias: -distance within a kind (weights in exp(-distance)), the
score across kinds.

A message is the *difference* between sender and receiver, times a gate per pair of kinds. With a
positive gate, nodes move towards their neighbors: windows of one stream average out their noise.
With a negative gate, they move apart: near-twins cancel what they share, and keep only what tells
them apart.

Axes: G groups, W clips, S products, V = W + S nodes, H heads, D dimensions.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import (
    GAIN_SCALE,
    CosineLogits,
    identity_linear,
    masked_softmax,
    split_heads,
)

KINDS = 2  # clip, product


class Interaction(nn.Module):
    """Exchanges messages between clips and products. Untrained, it changes neither."""

    def __init__(self, dim: int, heads: int = 4, neighbors: int = 8) -> None:
        super().__init__()
        self.heads, self.neighbors = heads, neighbors
        self.cosine_logits = CosineLogits(dim, heads)
        self.value, self.out = identity_linear(dim), identity_linear(dim)
        self.log_similarity_scale = nn.Parameter(torch.full((heads,), log(10)))
        self.relevance_scale = nn.Parameter(torch.ones(heads))
        self.kind_bias = nn.Parameter(torch.zeros(heads, KINDS, KINDS))
        self.gate = nn.Parameter(torch.zeros(heads, KINDS, KINDS))

    def forward(
        self,
        clips: Tensor,
        clip_mask: Tensor,
        products: Tensor,
        product_mask: Tensor,
        relevance: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Update the vectors of clips and products.

        Args:
            clips: (G, W, D) vectors of length 1.
            clip_mask: (G, W) bool.
            products: (G, S, D) vectors of length 1.
            product_mask: (G, S) bool.
            relevance: (G, W, S) score of each clip with each product.

        Returns:
            Clips (G, W, D) and products (G, S, D) of length 1, zero at padding.
        """
        clip_count = clips.shape[1]
        nodes, mask = torch.cat([clips, products], 1), torch.cat([clip_mask, product_mask], 1)
        nodes = nodes.masked_fill(~mask.unsqueeze(-1), 0.0)
        kind = (torch.arange(nodes.shape[1], device=nodes.device) >= clip_count).long()
        affinity = compute_affinity(nodes, relevance)
        adjacency = self.select_neighbors(affinity, mask, clip_count)
        weights = self.compute_weights(nodes, kind, affinity, adjacency)
        values = split_heads(self.value(nodes), self.heads)
        messages = weights @ values - weights.sum(-1, keepdim=True) * values
        updated = nodes + self.out(messages.transpose(1, 2).flatten(2))
        updated = functional.normalize(updated, dim=-1).masked_fill(~mask.unsqueeze(-1), 0.0)
        return updated[:, :clip_count], updated[:, clip_count:]

    def compute_weights(
        self, nodes: Tensor, kind: Tensor, affinity: Tensor, adjacency: Tensor
    ) -> Tensor:
        """Gated attention (G, H, V, V): how much a node (row) takes of another's difference."""
        within, across = self.log_similarity_scale.exp(), GAIN_SCALE * self.relevance_scale
        scale = torch.stack([within, across, across, within], 1)
        pairs = kind[:, None] * KINDS + kind
        bias = scale[:, pairs] * affinity.unsqueeze(1) + self.kind_bias.flatten(1)[:, pairs]
        logits = self.cosine_logits(nodes, nodes) + bias
        attention = masked_softmax(logits, adjacency.unsqueeze(1))
        return attention * (GAIN_SCALE * self.gate).flatten(1)[:, pairs]

    def select_neighbors(self, affinity: Tensor, mask: Tensor, clip_count: int) -> Tensor:
        """The senders of each node (row), (G, V, V) bool: itself and its nearest of each kind."""
        diagonal = torch.eye(affinity.shape[1], dtype=torch.bool, device=affinity.device)
        others = mask.unsqueeze(1) & ~diagonal
        ranked = affinity.detach().masked_fill(~others, -torch.inf)
        kinds = (ranked[..., :clip_count], ranked[..., clip_count:])
        nearest = torch.cat([self.select_top(kind) for kind in kinds], -1)
        return nearest & others | diagonal

    def select_top(self, ranked: Tensor) -> Tensor:
        """Mark the highest values of each row. Ties are all included, so order does not matter."""
        count = min(self.neighbors, ranked.shape[-1])
        return ranked >= ranked.topk(count, dim=-1).values[..., -1:]


def compute_affinity(nodes: Tensor, relevance: Tensor) -> Tensor:
    """Affinity (G, V, V) of two nodes: cosine - 1 within a kind, relevance across kinds."""
    clips = relevance.shape[1]
    similarity = nodes @ nodes.mT - 1
    clip_rows = torch.cat([similarity[:, :clips, :clips], relevance], 2)
    product_rows = torch.cat([relevance.mT, similarity[:, clips:, clips:]], 2)
    return torch.cat([clip_rows, product_rows], 1)
