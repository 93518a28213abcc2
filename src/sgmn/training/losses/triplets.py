"""Distance-weighted triplets: a clip nearer to its product than to a sampled other one."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import CrossBatchMemory, TripletMarginLoss
from pytorch_metric_learning.miners import DistanceWeightedMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor, nn

from sgmn.settings import require
from sgmn.training.losses.mining import of_own_class


class Vectors(NamedTuple):
    """Vectors (N, D) of length 1, and where there is one (N,) bool."""

    rows: Tensor
    present: Tensor


class Mined(NamedTuple):
    """The loss, a scalar >= 0, and how many clips brought no triplet to it."""

    loss: Tensor
    skipped: int


class Triplets(nn.Module):
    """Triplet loss on cosines over negatives drawn by distance (Wu et al. 2017, section 4).

    Each pair of a clip and its product draws one negative, uniformly over distance, from the
    products of the batch and of `memory` past ones, always of another duplicate class. The
    positive is of the batch. Draws follow torch's seed; the memory is part of the state_dict.
    """

    def __init__(
        self, width: int, margin: float = 0.2, reach: float = 1.4, memory: int = 0
    ) -> None:
        """width: D. margin: of the cosines. reach: L2 distance at most of a negative.

        memory: products kept from past batches (Wang et al. 2020), 0 for none.
        """
        super().__init__()
        require(margin > 0, "margin", margin, "give more than 0")
        require(0.5 < reach <= sqrt(2), "reach", reach, "give a distance in 0.5..1.41")
        require(memory >= 0, "memory", memory, "give 0 or more")
        self.reach, self.cutoff = reach, _cutoff(width, reach)
        self.loss = TripletMarginLoss(margin, distance=CosineSimilarity(), reducer=MeanReducer())
        self.memory = CrossBatchMemory(self.loss, width, memory) if memory else None

    def forward(
        self, clips: Vectors, products: Vectors, positive: Tensor, classes: Tensor
    ) -> Mined:
        """Clips (B, D), products (S, D), positive (B, S) bool, duplicate classes (S,) long.

        The classes are those of the whole dataset, as the memory holds past ones. Without any
        triplet the loss is zero, with a graph.
        """
        kept = positive & clips.present[:, None] & products.present
        clip, place = kept.nonzero(as_tuple=True)
        past, past_classes = self._past(products.rows)
        references = torch.cat([products.rows.float(), past])
        allowed = ~of_own_class(positive, classes, torch.cat([classes, past_classes]))
        allowed[:, : len(classes)] &= products.present
        anchors = clips.rows[clip].float()
        chosen = self._chosen(anchors, references, place, allowed[clip])
        skipped = len(positive) - len(torch.unique(clip[chosen[0]]))
        if not len(chosen[0]):
            return Mined(0 * (clips.rows.sum() + products.rows.sum()), skipped)
        return Mined(self.loss(anchors, indices_tuple=chosen, ref_emb=references), skipped)

    def remember(self, products: Vectors, classes: Tensor) -> None:
        """Keep a batch's products for later batches; call it once a step, after the losses."""
        if self.memory is None:
            return
        latest = products.present.nonzero()[:, 0][-self.memory.memory_size :]
        if len(latest):  # the library takes a memory that was given nothing for a full one
            self.memory.to(products.rows.device)
            self.memory.add_to_memory(products.rows[latest].float(), classes[latest], len(latest))

    def get_extra_state(self) -> Tensor:
        """Where the memory goes on, which the library keeps out of its state."""
        memory = self.memory
        return torch.tensor(
            [memory.queue_idx, memory.has_been_filled] if memory is not None else [0, 0]
        )

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from there."""
        if self.memory is not None:
            self.memory.queue_idx, self.memory.has_been_filled = int(state[0]), bool(state[1])

    def _past(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The remembered products (M, D) and their classes (M,)."""
        if self.memory is None:
            return like.new_zeros(0, like.shape[1]).float(), like.new_zeros(0).long()
        memory = self.memory.to(like.device)
        filled = memory.memory_size if memory.has_been_filled else memory.queue_idx
        return memory.embedding_memory[:filled].clone(), memory.label_memory[:filled]

    def _chosen(
        self, anchors: Tensor, references: Tensor, place: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Triplets as places of anchors, positives and negatives.

        The library scales all weights by the greatest of the batch: in float32 and 512 wide, one
        close pair left 2 of 32 rows with a triplet. In float64 every row keeps its own.
        """
        if not len(anchors):
            return place, place, place
        distance = _Within(allowed, self.reach)
        miner = DistanceWeightedMiner(self.cutoff, self.reach, distance=distance)
        labels = torch.arange(len(references), device=place.device)
        a, p, n = miner(anchors.double(), place, references.double(), labels)
        return a, p, n


class _Within(LpDistance):  # type: ignore[misc]  # the library has no types
    """L2 distance; whatever may not be a negative stands at the edge of the miner's reach.

    No pair is farther, so the miner's logarithm of the density stays finite.
    """

    def __init__(self, allowed: Tensor, reach: float) -> None:
        super().__init__()
        self.allowed, self.reach = allowed, reach

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """(P, R), of which only what is below the reach can be drawn."""
        found: Tensor = super().compute_mat(query_emb, ref_emb)
        return found.clamp(max=self.reach).masked_fill(~self.allowed, self.reach)


def _cutoff(width: int, reach: float) -> float:
    """Below this distance all negatives weigh alike: 0.5, or more where D is beyond about 1000.

    The weight 1/density spans e^700 at most between it and the reach, which float64 can hold.
    """
    distance = torch.linspace(0.5, reach, 1000, dtype=torch.float64)
    density = (width - 2) * distance.log() + (width - 3) / 2 * (1 - distance**2 / 4).log()
    return float(distance[density[-1] - density <= 700][0])
