"""The clip graph: message passing between the frames, motion and instances of a clip.

Nodes:
    frame       one per frame
    difference  of two neighboring frames: motion separates a handled product from a still
                background
    instance    the most salient patches of each frame

Edges (receiver - sender):
    frame - frame           every pair
    frame - difference      the differences that start or end at the frame
    frame - instance        every pair, stronger if the instance resembles one of the frame's own
                            instances, so that an object is tracked through time
    instance - frame        the instance's own frame
    instance - instance     every pair, stronger if they resemble each other

Messages have a gate per head and kind of sender. A gate may be negative: what all frames share can
be subtracted. The output is the frame nodes.

Axes: B clips, T frames, N patches, M instances per frame, V nodes, H heads, D dimensions.
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
# Range of time offsets (sender minus receiver, in frames) at which a node of one kind (row)
# receives messages from another kind (column). A difference has the time of its earlier frame.
MIN_OFFSET = ((-ANY, -1, -ANY), (0, 0, ANY), (0, ANY, -ANY))
MAX_OFFSET = ((ANY, 0, ANY), (1, 0, -ANY), (0, -ANY, ANY))
# Time offsets between two bounds share a bias, so that clips may have any length.
BOUNDS = (1, 2, 3, 5, 9, 17, 33)
BUCKETS = 2 * len(BOUNDS) + 1


class Nodes(NamedTuple):
    """The nodes of clips, in the order frames, differences, instances.

    Attributes:
        values: (B, V, D) node vectors.
        mask: (B, V) bool, False at padding.
        salience: (B, V) attention weight α of an instance, 0 for other nodes.
        similarity: (B, V, V) cosine of an instance (column) with the most similar instance of the
            receiver (row); 0 if the column is not an instance.
        kind: (V,) kind of node, 0..KINDS - 1.
        adjacency: (V, V) bool, whether a node (row) receives messages from another (column).
        bias_index: (V, V) index of the time bias of an edge, by kinds and time offset.
    """

    values: Tensor
    mask: Tensor
    salience: Tensor
    similarity: Tensor
    kind: Tensor
    adjacency: Tensor
    bias_index: Tensor


class ClipGraph(nn.Module):
    """Adds the context of the whole clip to its frame vectors. An untrained graph is an identity.

    Args:
        dim: Dimensions of a frame vector.
        heads: Number of attention heads.
        layers: Number of rounds of message passing.
        instances: Maximum number of instances per frame.
    """

    def __init__(self, dim: int, heads: int = 4, layers: int = 1, instances: int = 4) -> None:
        super().__init__()
        self.instances = instances
        self.inner_layers = nn.ModuleList(
            MessagePassing(dim, heads, KINDS) for _ in range(layers - 1)
        )
        self.last_layer = MessagePassing(dim, heads, 1)  # only frames are part of the output

    def forward(
        self,
        frames: Tensor,
        frame_mask: Tensor,
        patches: Tensor,
        patch_weights: Tensor,
        patch_mask: Tensor,
    ) -> Tensor:
        """Pass messages between the nodes of each clip.

        Args:
            frames: (B, T, D) frame vectors of length 1, zero at padding.
            frame_mask: (B, T) bool.
            patches: (B, T, N, D) patch vectors.
            patch_weights: (B, T, N) attention weights α.
            patch_mask: (B, T, N) bool.

        Returns:
            (B, T, D) frame vectors of length 1, zero at padding.
        """
        mask = patch_mask & frame_mask.unsqueeze(-1)
        nodes = build_nodes(frames, frame_mask, patches, patch_weights, mask, self.instances)
        for layer in self.inner_layers:
            nodes = nodes._replace(values=layer(nodes, nodes.kind.shape[0]))
        output = functional.normalize(self.last_layer(nodes, frames.shape[1]), dim=-1)
        return output.masked_fill(~frame_mask.unsqueeze(-1), 0.0)


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
        """Return the first `rows` nodes (B, rows, D) with the messages they receive added."""
        logits = self.cosine_logits(nodes.values[:, :rows], nodes.values)
        logits = logits + self.compute_biases(nodes, rows)
        edges = (nodes.adjacency[:rows] & nodes.mask.unsqueeze(1)).unsqueeze(1)
        weights = masked_softmax(logits, edges)
        weights = weights * (GAIN_SCALE * self.gate)[:, nodes.kind].unsqueeze(1)
        heads = weights @ split_heads(self.value(nodes.values), self.heads)
        message: Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return nodes.values[:, :rows] + message

    def compute_biases(self, nodes: Nodes, rows: int) -> Tensor:
        """Edge logits (B, H, rows, V) from time offset, tracking and salience."""
        tracking = self.tracking_scale[:, None, None] * nodes.similarity[:, None, :rows]
        salience = self.salience_scale[:, None, None] * nodes.salience[:, None, None]
        time: Tensor = self.time_bias[:, nodes.bias_index[:rows]]
        return time + tracking + salience


def select_instances(
    patches: Tensor, weights: Tensor, mask: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Select the most salient patches of each frame.

    Returns:
        Instances (B, T, M, D), zero at padding, and their mask (B, T, M) bool. M is the smaller
        of `count` and N.
    """
    indices, selected_mask = rank_patches(weights, mask, count)
    gather_index = indices.unsqueeze(-1).expand(*indices.shape, patches.shape[-1])
    selected = patches.gather(2, gather_index)
    return selected.masked_fill(~selected_mask.unsqueeze(-1), 0.0), selected_mask


def rank_patches(weights: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the indices (B, T, M) of the highest weights and their mask (B, T, M) bool.

    The sort is stable: of equal weights the first wins, so padding cannot change the choice.
    """
    ranked = weights.detach().masked_fill(~mask, -1.0)
    indices = ranked.argsort(dim=-1, descending=True, stable=True)[..., :count]
    return indices, mask.gather(-1, indices)


def build_nodes(
    frames: Tensor, frame_mask: Tensor, patches: Tensor, weights: Tensor, mask: Tensor, count: int
) -> Nodes:
    """Build the nodes of clips; see `ClipGraph.forward` for the shapes."""
    instances, instance_mask = select_instances(patches, weights, mask, count)
    salience = weights.gather(-1, rank_patches(weights, mask, count)[0])
    salience = salience.masked_fill(~instance_mask, 0.0)
    difference_mask = frame_mask[:, 1:] & frame_mask[:, :-1]
    differences = frames[:, 1:] - frames[:, :-1]
    differences = differences.masked_fill(~difference_mask.unsqueeze(-1), 0.0)
    first_instance = frames.shape[1] + differences.shape[1]
    return Nodes(
        torch.cat([frames, differences, instances.flatten(1, 2)], 1),
        torch.cat([frame_mask, difference_mask, instance_mask.flatten(1)], 1),
        functional.pad(salience.flatten(1), (first_instance, 0)),
        functional.pad(compute_similarity(instances, instance_mask), (first_instance, 0)),
        *build_layout(frames.shape[1], instances.shape[2], frames.device),
    )


def compute_similarity(instances: Tensor, mask: Tensor) -> Tensor:
    """Similarity (B, V, T·M) of every node (row) with every instance (column); see `Nodes`."""
    vectors = soft_normalize(instances.flatten(1, 2))
    cosines = vectors @ vectors.mT
    own = cosines.reshape(*mask.shape, cosines.shape[-1]).masked_fill(~mask.unsqueeze(-1), -1.0)
    nearest = functional.pad(own, (0, 0, 0, 1), value=-1.0).amax(2)  # -1 without instances
    return torch.cat([nearest, torch.zeros_like(nearest[:, 1:]), cosines], 1)


def build_layout(
    frames: int, instances: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `kind`, `adjacency` and `bias_index` of `Nodes` for clips of a number of frames."""
    index = torch.arange(frames, device=device)
    times = (index, index[:-1], index.repeat_interleave(instances))
    time = torch.cat(times)
    kind = torch.cat([torch.full_like(kind_times, kind) for kind, kind_times in enumerate(times)])
    offset = time - time[:, None]
    pairs = kind[:, None] * KINDS + kind
    low, high = (
        torch.tensor(table, device=device).flatten()[pairs] for table in (MIN_OFFSET, MAX_OFFSET)
    )
    return kind, (low <= offset) & (offset <= high), pairs * BUCKETS + offset_bucket(offset)


def offset_bucket(offset: Tensor) -> Tensor:
    """Map time offsets to 0..BUCKETS - 1. Short offsets have finer buckets; the sign counts."""
    bounds = torch.tensor(BOUNDS, device=offset.device)
    return offset.sign() * torch.bucketize(offset.abs(), bounds, right=True) + len(BOUNDS)
