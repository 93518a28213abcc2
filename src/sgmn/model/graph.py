"""The clip graph: frames, motion and instances of one clip, joined across its whole length.

    nodes    frames; differences of neighbouring frames (motion parts a handled product from a
             still background); instances, the most salient patches of each frame
    edges    a frame with every frame, and with the differences that start or end there;
             a frame with every instance, the more the liker it is to one of its own, so that a
             thing is followed through time; an instance with its frame and, by likeness, with
             every other instance

Messages are gated by the kind of node that sends them, and a gate may be of either sign: what
all frames share can be subtracted. Out come the frames.

Axes: B clips, T frames, N patches, M instances a frame, V nodes, H heads, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import (
    GAIN_SCALE,
    CosineLogits,
    identity_linear,
    masked_softmax,
    soft_normalize,
    split_heads,
)

KINDS = 3  # frame, difference, instance
ANY = 1 << 30
# From how many frames on to how many, counted from its own, a node of each kind (row) hears
# nodes of each kind (column). A difference stands at the earlier of its two frames.
SINCE = ((-ANY, -1, -ANY), (0, 0, ANY), (0, ANY, -ANY))
UNTIL = ((ANY, 0, ANY), (1, 0, -ANY), (0, -ANY, ANY))
# Distances in time share a bias between these bounds, so that any length of clip will do.
BOUNDS = (1, 2, 3, 5, 9, 17, 33)
BUCKETS = 2 * len(BOUNDS) + 1


class Nodes(NamedTuple):
    """All nodes of clips: first the frames, then the differences, then the instances.

    values: (B, V, D). mask: (B, V) bool. salience: (B, V) α of an instance, else 0.
    likeness: (B, V, V) cosine of an instance (column) with the most alike of the row's own
    instances, else 0. kind: (V,) below KINDS. linked: (V, V) bool, whom a node (row) hears.
    place: (V, V) which bias an edge has, by the kinds and how far apart in time.
    """

    values: Tensor
    mask: Tensor
    salience: Tensor
    likeness: Tensor
    kind: Tensor
    linked: Tensor
    place: Tensor


class ClipGraph(nn.Module):
    """Frames z (B, T, D) that have heard from the rest of their clip; a fresh graph is z = f."""

    def __init__(self, dim: int, heads: int = 4, layers: int = 1, count: int = 4) -> None:
        super().__init__()
        self.count = count
        self.inner_layers = nn.ModuleList(MessagePassing(dim, heads, KINDS) for _ in range(layers - 1))
        self.last_layer = MessagePassing(dim, heads, 1)  # only the frames are still to hear

    def forward(
        self,
        frames: Tensor,
        present: Tensor,
        patches: Tensor,
        patch_weights: Tensor,
        patch_mask: Tensor,
    ) -> Tensor:
        """Frames (B, T, D) of length 1, zero at padding.

        present: (B, T) bool. patches: (B, T, N, D) with their weights α and mask (B, T, N).
        """
        mask = patch_mask & present.unsqueeze(-1)
        found = build_nodes(frames, present, patches, patch_weights, mask, self.count)
        for layer in self.inner_layers:
            found = found._replace(values=layer(found, found.kind.shape[0]))
        heard = functional.normalize(self.last_layer(found, frames.shape[1]), dim=-1)
        return heard.masked_fill(~present.unsqueeze(-1), 0.0)


class MessagePassing(nn.Module):
    """One round of messages to the nodes of the first `kinds` kinds."""

    def __init__(self, dim: int, heads: int, kinds: int) -> None:
        super().__init__()
        self.heads = heads
        self.cosine_logits = CosineLogits(dim, heads)
        self.value, self.out = identity_linear(dim), identity_linear(dim)
        self.time_bias = nn.Parameter(torch.zeros(heads, kinds * KINDS * BUCKETS))
        self.tracking_scale = nn.Parameter(torch.ones(heads))
        self.salience_scale = nn.Parameter(torch.ones(heads))
        self.gate = nn.Parameter(torch.zeros(heads, KINDS))

    def forward(self, nodes: Nodes, rows: int) -> Tensor:
        """The first `rows` nodes (B, rows, D) with what they heard added."""
        logits = self.cosine_logits(nodes.values[:, :rows], nodes.values) + self.compute_biases(nodes, rows)
        edges = (nodes.linked[:rows] & nodes.mask.unsqueeze(1)).unsqueeze(1)
        weights = masked_softmax(logits, edges)
        weights = weights * (GAIN_SCALE * self.gate)[:, nodes.kind].unsqueeze(1)
        heard = weights @ split_heads(self.value(nodes.values), self.heads)
        message: Tensor = self.out(heard.transpose(1, 2).flatten(2))
        return nodes.values[:, :rows] + message

    def compute_biases(self, nodes: Nodes, rows: int) -> Tensor:
        """What joins two nodes besides their content: logits (B, H, rows, V)."""
        followed = self.tracking_scale[:, None, None] * nodes.likeness[:, None, :rows]
        salient = self.salience_scale[:, None, None] * nodes.salience[:, None, None]
        placed: Tensor = self.time_bias[:, nodes.place[:rows]]
        return placed + followed + salient


def select_instances(patches: Tensor, weights: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The most salient patches of each frame (B, T, M, D) and which there are (B, T, M) bool.

    M is `count`, or N where frames have fewer patches; what is missing is zero.
    """
    places, there = rank_patches(weights, mask, count)
    wanted = places.unsqueeze(-1).expand(*places.shape, patches.shape[-1])
    return patches.gather(2, wanted).masked_fill(~there.unsqueeze(-1), 0.0), there


def rank_patches(weights: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where the highest weights stand (B, T, M), and whether each is a patch (B, T, M) bool.

    Of equal weights the first wins, so that padding cannot change the choice.
    """
    ranked = weights.detach().masked_fill(~mask, -1.0)
    places = ranked.argsort(dim=-1, descending=True, stable=True)[..., :count]
    return places, mask.gather(-1, places)


def build_nodes(
    frames: Tensor, present: Tensor, patches: Tensor, weights: Tensor, mask: Tensor, count: int
) -> Nodes:
    """The nodes of clips with at most `count` instances a frame; see `ClipGraph` for the shapes."""
    picked, there = select_instances(patches, weights, mask, count)
    salience = weights.gather(-1, rank_patches(weights, mask, count)[0]).masked_fill(~there, 0.0)
    steps = present[:, 1:] & present[:, :-1]
    moved = (frames[:, 1:] - frames[:, :-1]).masked_fill(~steps.unsqueeze(-1), 0.0)
    before = frames.shape[1] + moved.shape[1]  # nodes before the first instance
    return Nodes(
        torch.cat([frames, moved, picked.flatten(1, 2)], 1),
        torch.cat([present, steps, there.flatten(1)], 1),
        functional.pad(salience.flatten(1), (before, 0)),
        functional.pad(compute_likeness(picked, there), (before, 0)),
        *build_layout(frames.shape[1], picked.shape[2], frames.device),
    )


def compute_likeness(picked: Tensor, there: Tensor) -> Tensor:
    """Of every node (row) with every instance (column): (B, V, T·M), see `Nodes`."""
    turned = soft_normalize(picked.flatten(1, 2))
    alike = turned @ turned.mT
    own = alike.reshape(*there.shape, alike.shape[-1]).masked_fill(~there.unsqueeze(-1), -1.0)
    nearest = functional.pad(own, (0, 0, 0, 1), value=-1.0).amax(2)  # -1 for a frame with none
    return torch.cat([nearest, torch.zeros_like(nearest[:, 1:]), alike], 1)


def build_layout(frames: int, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """`kind`, `linked` and `place` of `Nodes`, which are the same for all clips of a length."""
    index = torch.arange(frames, device=device)
    times = (index, index[:-1], index.repeat_interleave(count))
    time = torch.cat(times)
    kind = torch.cat([torch.full_like(some, kind) for kind, some in enumerate(times)])
    apart = time - time[:, None]
    pairs = kind[:, None] * KINDS + kind
    since, until = (torch.tensor(table, device=device).flatten()[pairs] for table in (SINCE, UNTIL))
    return kind, (since <= apart) & (apart <= until), pairs * BUCKETS + distance_bucket(apart)


def distance_bucket(apart: Tensor) -> Tensor:
    """Distances in time to 0..BUCKETS - 1, finer where they are short; past and future differ."""
    bounds = torch.tensor(BOUNDS, device=apart.device)
    return apart.sign() * torch.bucketize(apart.abs(), bounds, right=True) + len(BOUNDS)
