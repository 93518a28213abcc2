"""Distance-weighted triplet loss: a clip is closer to its product than to a sampled other one."""

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
from sgmn.training.losses.mining import same_class_mask


class MaskedVectors(NamedTuple):
    """Vectors (N, D) of length 1, and which rows have one (N,) bool."""

    rows: Tensor
    present: Tensor


class TripletResult(NamedTuple):
    """The loss, a scalar >= 0, and the number of clips without a triplet."""

    loss: Tensor
    skipped: int


class TripletLoss(nn.Module):
    """Triplet loss on cosines with negatives sampled by distance (Wu et al. 2017, section 4).

    Each pair of a clip and its product draws one negative, uniformly over the distance, from the
    products of the batch and of `memory` past ones. A negative is never of the positive's
    duplicate class. Positives are always of the batch. Draws follow PyTorch's seed; the memory is
    part of the state_dict.
    """

    def __init__(
        self, dim: int, margin: float = 0.2, max_distance: float = 1.4, memory: int = 0
    ) -> None:
        """Set up the loss.

        Args:
            dim: length of the vectors (D).
            margin: minimum difference of the cosines.
            max_distance: maximum L2 distance of a negative.
            memory: number of products kept from past batches (Wang et al. 2020); 0 for none.
        """
        super().__init__()
        require(margin > 0, "margin", margin, "use a number above 0")
        valid = 0.5 < max_distance <= sqrt(2)
        require(valid, "max_distance", max_distance, "use a distance in 0.5..1.41")
        require(memory >= 0, "memory", memory, "use 0 or more")
        self.max_distance, self.cutoff = max_distance, _cutoff(dim, max_distance)
        self.loss = TripletMarginLoss(margin, distance=CosineSimilarity(), reducer=MeanReducer())
        self.memory = CrossBatchMemory(self.loss, dim, memory) if memory else None

    def forward(
        self, clips: MaskedVectors, products: MaskedVectors, positive: Tensor, classes: Tensor
    ) -> TripletResult:
        """Compute the loss; zero, connected to the graph, if there is no triplet.

        Args:
            clips: B clips.
            products: S products.
            positive: (B, S) bool.
            classes: (S,) long, duplicate classes among all products of the dataset, because the
                memory holds products of past batches.
        """
        usable = positive & clips.present[:, None] & products.present
        clip, product = usable.nonzero(as_tuple=True)
        past, past_classes = self._past_products(products.rows)
        references = torch.cat([products.rows.float(), past])
        all_classes = torch.cat([classes, past_classes])
        allowed = ~same_class_mask(positive, classes, all_classes)
        allowed[:, : len(classes)] &= products.present
        anchors = clips.rows[clip].float()
        triplets = self._sample(anchors, references, product, allowed[clip])
        skipped = len(positive) - len(torch.unique(clip[triplets[0]]))
        if not len(triplets[0]):
            return TripletResult(0 * (clips.rows.sum() + products.rows.sum()), skipped)
        loss = self.loss(anchors, indices_tuple=triplets, ref_emb=references)
        return TripletResult(loss, skipped)

    def remember(self, products: MaskedVectors, classes: Tensor) -> None:
        """Keep a batch's products as negatives; call this once per batch, after the losses."""
        if self.memory is None:
            return
        latest = products.present.nonzero()[:, 0][-self.memory.memory_size :]
        if len(latest):  # the library treats a memory that received nothing as full
            self.memory.to(products.rows.device)
            self.memory.add_to_memory(products.rows[latest].float(), classes[latest], len(latest))

    def get_extra_state(self) -> Tensor:
        """Return the write position of the memory, which the library leaves out of its state."""
        memory = self.memory
        return torch.tensor(
            [memory.queue_idx, memory.has_been_filled] if memory is not None else [0, 0]
        )

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the write position of the memory."""
        if self.memory is not None:
            self.memory.queue_idx, self.memory.has_been_filled = int(state[0]), bool(state[1])

    def _past_products(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the remembered products (M, D) and their classes (M,)."""
        if self.memory is None:
            return like.new_zeros(0, like.shape[1]).float(), like.new_zeros(0).long()
        memory = self.memory.to(like.device)
        filled = memory.memory_size if memory.has_been_filled else memory.queue_idx
        return memory.embedding_memory[:filled].clone(), memory.label_memory[:filled]

    def _sample(
        self, anchors: Tensor, references: Tensor, positives: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sample triplets: positions of anchors, positives and negatives.

        The library scales all weights by the greatest of the batch. In float32 and 512 dimensions,
        one close pair left 2 of 32 rows with a triplet; in float64 every row keeps its own.
        """
        if not len(anchors):
            return positives, positives, positives
        distance = _DistanceToAllowed(allowed, self.max_distance)
        miner = DistanceWeightedMiner(self.cutoff, self.max_distance, distance=distance)
        labels = torch.arange(len(references), device=positives.device)
        a, p, n = miner(anchors.double(), positives, references.double(), labels)
        return a, p, n


class _DistanceToAllowed(LpDistance):  # type: ignore[misc]  # the library has no types
    """L2 distance that places everything not allowed at the maximum distance.

    No pair is farther than that, so the miner's logarithm of the density stays finite.
    """

    def __init__(self, allowed: Tensor, max_distance: float) -> None:
        super().__init__()
        self.allowed, self.max_distance = allowed, max_distance

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Return (P, R) distances; only those below the maximum can be drawn."""
        distances: Tensor = super().compute_mat(query_emb, ref_emb)
        clamped = distances.clamp(max=self.max_distance)
        return clamped.masked_fill(~self.allowed, self.max_distance)


def _cutoff(dim: int, max_distance: float) -> float:
    """Return the distance below which all negatives weigh the same.

    It is 0.5, or more where D exceeds about 1000: between the cutoff and the maximum distance, the
    weight 1/density spans at most a factor of e^700, which float64 can represent.
    """
    distance = torch.linspace(0.5, max_distance, 1000, dtype=torch.float64)
    density = (dim - 2) * distance.log() + (dim - 3) / 2 * (1 - distance**2 / 4).log()
    return float(distance[density[-1] - density <= 700][0])
