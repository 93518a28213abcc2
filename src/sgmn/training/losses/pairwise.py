"""The loss of the second pass: what belongs together against the hardest others, both ways.

A clip's product against products hard for the clip, and, where there is fusion, a product's clip
against clips hard for the product. One way alone can be learnt from products alone: whatever a
product's own share of a score is, it is the same for all clips, and so teaches nothing the other
way round. For the same reason negatives are products that are right elsewhere: a product that no
example sells would teach that it is wrong whatever the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors, score
from sgmn.training.losses.contrastive import pair_loss
from sgmn.training.losses.mining import admissible, hardest, hardness, skipped


class Choice(NamedTuple):
    """The positive first and then the negatives of each row: places (B, 1 + K), there bool."""

    places: Tensor
    there: Tensor

    @property
    def valid(self) -> Tensor:
        """Which negatives there are (B, K)."""
        return self.there[:, 1:]


@dataclass(frozen=True)
class Pairs:
    """Which pairs of a batch teach the second pass: `hard` negatives a row, mined or at random.

    sold: (P,) bool, the products that some example of the run sells.
    """

    hard: int
    mining: bool
    sold: Tensor

    def __call__(
        self,
        network: SGMN,
        clips: ClipVectors,
        products: ProductVectors,
        positive: Tensor,
        classes: Tensor,
        listed: Tensor,
    ) -> tuple[Tensor, int]:
        """The loss, and how many rows had no negative. positive: (B, S). listed: (S,) numbers."""
        weights, how_hard = network.head(), self._hardness(clips, products)
        allowed = admissible(positive, classes) & positive.any(1, keepdim=True)
        right = positive.float().argmax(1)  # of a clip that sells several, the first
        taught = allowed & self.sold.to(listed.device)[listed]
        forth = self._chosen(right, positive.any(1), how_hard, taught)
        found = network.parts.second(clips, products, weights, forth.places, forth.there)
        loss = pair_loss(found * weights.logit_scale, forth.valid)
        if network.parts.fusion is not None:
            own = torch.arange(len(right), device=right.device)
            back = self._chosen(own, positive.any(1), how_hard[:, right].T, allowed[:, right].T)
            every = score(clips, products, weights) + fused(network, clips, products)
            found = every[:, right].T.gather(1, back.places)
            loss = (loss + pair_loss(found * weights.logit_scale, back.valid)) / 2
        return loss, skipped(forth.valid)

    def _chosen(self, right: Tensor, known: Tensor, how_hard: Tensor, allowed: Tensor) -> Choice:
        """The right place of each row (B,), where it is known, and the hardest that are allowed."""
        places, valid = hardest(how_hard, allowed & known.unsqueeze(1), self.hard)
        return Choice(
            torch.cat([right.unsqueeze(1), places], 1), torch.cat([known.unsqueeze(1), valid], 1)
        )

    def _hardness(self, clips: ClipVectors, products: ProductVectors) -> Tensor:
        if self.mining:
            return hardness(clips, products)
        return torch.rand(len(clips), len(products), device=clips.picture.device)


def fused(network: SGMN, clips: ClipVectors, products: ProductVectors) -> Tensor:
    """What fusion says of every pair (B, S)."""
    fusion = network.parts.fusion
    assert fusion is not None
    found: Tensor = fusion(fusion.clips(clips.tokens, clips.token_mask), products.latents)
    return found
