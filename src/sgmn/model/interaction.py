"""Instance-level interaction: clips and products of one group see each other.

Nodes are clips and products together. Each hears from the most similar clips and the most
similar products: by cosine within a kind, by the score of the first pass across. The attention's
bias is -distance within a kind (weights in exp(-distance)) and the relevance across.

What a neighbour sends is its *difference* to the node that hears it, times a gate for the two
kinds, of either sign. With a positive gate a node moves towards its neighbours: windows of one
live even out their noise. With a negative one it moves away from them: between near-twins what
they share cancels in the difference, so they part along what tells them apart and nowhere else.

Axes: G groups, W clips, S products, V = W + S nodes, H heads, D width.
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
    """Clips v' and products I' that have heard from their neighbours; fresh, v' = v and I' = I."""

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
        """Clips (G, W, D) and products (G, S, D) of length 1 to the same, zero at padding.

        The masks are (G, W) and (G, S) bool; relevance: (G, W, S), the higher the better.
        """
        nodes, mask = torch.cat([clips, products], 1), torch.cat([clip_mask, product_mask], 1)
        nodes = nodes.masked_fill(~mask.unsqueeze(-1), 0.0)
        kind = torch.arange(nodes.shape[1], device=nodes.device) >= clips.shape[1]
        bonds = compute_affinity(nodes, relevance)
        weights = self.attention_weights(nodes, kind.long(), bonds, self.select_neighbors(bonds, mask, clips.shape[1]))
        values = split_heads(self.value(nodes), self.heads)
        heard = weights @ values - weights.sum(-1, keepdim=True) * values
        moved = functional.normalize(nodes + self.out(heard.transpose(1, 2).flatten(2)), dim=-1)
        moved = moved.masked_fill(~mask.unsqueeze(-1), 0.0)
        return moved[:, : clips.shape[1]], moved[:, clips.shape[1] :]

    def attention_weights(self, nodes: Tensor, kind: Tensor, bonds: Tensor, linked: Tensor) -> Tensor:
        """How much of each other's difference a node (row) takes: gated attention (G, H, V, V)."""
        within, across = self.log_similarity_scale.exp(), GAIN_SCALE * self.relevance_scale
        strength = torch.stack([within, across, across, within], 1)
        pairs = kind[:, None] * KINDS + kind
        bias = strength[:, pairs] * bonds.unsqueeze(1) + self.kind_bias.flatten(1)[:, pairs]
        shares = masked_softmax(self.cosine_logits(nodes, nodes) + bias, linked.unsqueeze(1))
        return shares * (GAIN_SCALE * self.gate).flatten(1)[:, pairs]

    def select_neighbors(self, bonds: Tensor, mask: Tensor, clips: int) -> Tensor:
        """Whom each node (row) hears (G, V, V): itself and its nearest of each kind."""
        itself = torch.eye(bonds.shape[1], dtype=torch.bool, device=bonds.device)
        known = mask.unsqueeze(1) & ~itself
        ranked = bonds.detach().masked_fill(~known, -torch.inf)
        near = [self.top_neighbors(part) for part in (ranked[..., :clips], ranked[..., clips:])]
        return torch.cat(near, -1) & known | itself

    def top_neighbors(self, ranked: Tensor) -> Tensor:
        """The highest of each row; equals come in together, so that order does not matter."""
        count = min(self.neighbors, ranked.shape[-1])
        return ranked >= ranked.topk(count, dim=-1).values[..., -1:]


def compute_affinity(nodes: Tensor, relevance: Tensor) -> Tensor:
    """What joins two nodes (G, V, V): -distance (cosine - 1) within a kind, relevance across."""
    clips = relevance.shape[1]
    near = nodes @ nodes.mT - 1
    seen = torch.cat([near[:, :clips, :clips], relevance], 2)
    shown = torch.cat([relevance.mT, near[:, clips:, clips:]], 2)
    return torch.cat([seen, shown], 1)
