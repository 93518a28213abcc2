"""The loss of the second pass: each positive pair against its hardest negatives, both ways.

Negatives are other products for a clip and, if the model has fusion, other clips for a product.
One direction alone could be learned from the products alone: a constant added to all scores of a
product lowers the loss of a clip, but cancels out in the other direction. For the same reason, a
product is a negative only if some example sells it. Otherwise the model would learn that the
product is wrong for every clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors, score
from sgmn.training.losses.contrastive import pair_loss
from sgmn.training.losses.mining import (
    count_without_negative,
    hardness,
    negative_mask,
    select_hardest,
)


class PairChoices(NamedTuple):
    """The positive (column 0) and the negatives of each row.

    Attributes:
        positions: (B, 1 + K) of the columns.
        present: (B, 1 + K) bool, which of them exist.
    """

    positions: Tensor
    present: Tensor

    @property
    def valid(self) -> Tensor:
        """Which negatives exist: (B, K) bool."""
        return self.present[:, 1:]


@dataclass(frozen=True)
class PairwiseLoss:
    """The pair loss of a batch.

    Attributes:
        hard_negatives: negatives of each row.
        mining: choose the hardest negatives; otherwise choose at random.
        is_sold: (P,) bool, the products that some example of the run sells.
    """

    hard_negatives: int
    mining: bool
    is_sold: Tensor

    def __call__(
        self,
        network: SGMN,
        clips: ClipVectors,
        products: ProductVectors,
        positive: Tensor,
        classes: Tensor,
        candidates: Tensor,
    ) -> tuple[Tensor, int]:
        """Return the loss, and the number of clips without a negative.

        Args:
            network: model with the second pass.
            clips: B clips.
            products: S products.
            positive: (B, S) bool.
            classes: (S,) long, duplicate classes.
            candidates: (S,) long, positions of the products among all P.
        """
        weights, pair_hardness = network.head(), self._hardness(clips, products)
        has_positive = positive.any(1)
        target = positive.float().argmax(1)  # the first one, if a clip sells several
        allowed = negative_mask(positive, classes) & has_positive.unsqueeze(1)
        sold = self.is_sold.to(candidates.device)[candidates]
        choices = self._choose(target, has_positive, pair_hardness, allowed & sold)
        scores = network.parts.rescore(clips, products, weights, choices.positions, choices.present)
        loss = pair_loss(scores * weights.logit_scale, choices.valid)
        if network.parts.fusion is not None:
            rows = torch.arange(len(target), device=target.device)
            reverse = self._choose(
                rows, has_positive, pair_hardness[:, target].T, allowed[:, target].T
            )
            all_scores = score(clips, products, weights) + fusion_scores(network, clips, products)
            scores = all_scores[:, target].T.gather(1, reverse.positions)
            loss = (loss + pair_loss(scores * weights.logit_scale, reverse.valid)) / 2
        return loss, count_without_negative(choices.valid)

    def _choose(
        self, target: Tensor, has_target: Tensor, pair_hardness: Tensor, allowed: Tensor
    ) -> PairChoices:
        """Combine the target of each row (B,) with its hardest allowed negatives."""
        negatives, valid = select_hardest(
            pair_hardness, allowed & has_target.unsqueeze(1), self.hard_negatives
        )
        positions = torch.cat([target.unsqueeze(1), negatives], 1)
        return PairChoices(positions, torch.cat([has_target.unsqueeze(1), valid], 1))

    def _hardness(self, clips: ClipVectors, products: ProductVectors) -> Tensor:
        if self.mining:
            return hardness(clips, products)
        return torch.rand(len(clips), len(products), device=clips.image.device)


def fusion_scores(network: SGMN, clips: ClipVectors, products: ProductVectors) -> Tensor:
    """Return the fusion's score of every pair (B, S)."""
    fusion = network.parts.fusion
    assert fusion is not None
    scores: Tensor = fusion(fusion.prepare_clips(clips.tokens, clips.token_mask), products.latents)
    return scores
