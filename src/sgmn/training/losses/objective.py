"""What a run minimises: the losses of a batch on the score that ranks, weighed together.

score    InfoNCE on the one score
text     the same on transcript and title alone
telling  and once more, where a transcript counts as much as it tells
triplet  distance-weighted triplets of clips and products, before and after interaction
pair     each clip's product against its hardest others, as the second pass scores them
box      the guidance of labelled clips looks into the boxes of the product meant
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sgmn.model.guidance import box_loss
from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors, score
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import sells
from sgmn.training.gathering import gathered
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.mining import of_own_class
from sgmn.training.losses.pairwise import Pairs


class Outcome(NamedTuple):
    """The loss to minimise; its parts by name; the share of clips whose best product in the
    batch is theirs; and how many clips had no negative to learn from."""

    loss: Tensor
    parts: dict[str, float]
    right: float
    skipped: int


class Looked(NamedTuple):
    """How clips were looked at, α (B, T, N); which patches are inside a box (B, T, N) bool."""

    patch_weights: Tensor
    inside: Tensor


class Objective(nn.Module):
    """The losses of a config.

    classes: (P,) the duplicate classes of all products. sold: (P,) bool, which of them some
    example sells; None for all.
    """

    classes: Tensor

    def __init__(
        self, width: int, config: LossConfig, classes: Tensor, sold: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        sold = torch.ones_like(classes, dtype=torch.bool) if sold is None else sold
        self.pairs = Pairs(config.hard, config.mining, sold)
        self.register_buffer("classes", classes, persistent=False)
        self.triplets = None
        if config.mining and config.triplet > 0:
            from sgmn.training.losses.triplets import (
                Triplets,  # needs a library that no other loss needs
            )

            self.triplets = Triplets(width, config.margin, memory=config.memory)

    def forward(
        self,
        network: SGMN,
        clips: ClipVectors,
        products: ProductVectors,
        sold: Tensor,
        listed: Tensor,
        looked: Looked | None = None,
    ) -> Outcome:
        """The losses of a batch; `sold` and `listed` are those of `batches.Batch`.

        looked: of clips whose guidance is to learn from boxes. With several processes the batch
        is that of all of them.
        """
        clips, sold = gathered(clips), gathered(sold + 1) - 1  # gathering pads with 0
        products, listed = _once(gathered(products), gathered(listed))
        positive, classes = sells(sold, listed), self.classes[listed]
        weights = network.head()
        scores = score(clips, products, weights)
        parts = {"score": self._ranked(scores * weights.logit_scale, positive, classes)}
        said = clips.words @ products.words.T * weights.logit_scale
        if self.config.text > 0:
            loss = self._text(said, clips, products, positive, classes)
            parts["text"] = self.config.text * loss
        if self.config.telling > 0:
            told = said * clips.telling[:, None]
            loss = self._text(told, clips, products, positive, classes)
            parts["telling"] = self.config.telling * loss
        missing = 0
        if self.triplets is not None:
            loss, missing = self._triplets(network, clips, products, positive, classes)
            parts["triplet"] = self.config.triplet * loss
        if self.config.pair > 0 and (self.config.mining or network.parts.has_second):
            loss, lonely = self.pairs(network, clips, products, positive, classes, listed)
            parts["pair"], missing = self.config.pair * loss, missing + lonely
        if looked is not None and self.config.box > 0:
            parts["box"] = self.config.box * box_loss(*map(gathered, looked))
        shown = {name: float(loss.detach()) for name, loss in parts.items()}
        total = torch.stack(list(parts.values())).sum()
        return Outcome(total, shown, _right(scores.detach(), positive), missing)

    def _ranked(self, logits: Tensor, positive: Tensor, classes: Tensor) -> Tensor:
        return info_nce(logits, positive, of_own_class(positive, classes, classes))

    def _text(
        self,
        logits: Tensor,
        clips: ClipVectors,
        products: ProductVectors,
        positive: Tensor,
        classes: Tensor,
    ) -> Tensor:
        """Among those that have words; a product of the same title is no negative."""
        there = clips.has_words[:, None] & products.has_words
        titles = products.words.detach()
        same = (positive.float() @ (titles @ titles.T > 1 - 1e-4).float()) > 0
        same |= of_own_class(positive, classes, classes)
        return info_nce(logits, positive & there, ~there | same)

    def _triplets(
        self,
        network: SGMN,
        clips: ClipVectors,
        products: ProductVectors,
        positive: Tensor,
        classes: Tensor,
    ) -> tuple[Tensor, int]:
        """Mean over (v, I) and, where they interact, (v, I′), (v′, I) and (v′, I′)."""
        from sgmn.training.losses.triplets import Vectors

        assert self.triplets is not None
        of_clips = [Vectors(clips.picture, clips.has_picture)]
        of_products = [Vectors(products.picture, products.has_picture)]
        if network.parts.interaction is not None:
            alone = clips.mapped(lambda t: t.unsqueeze(0))
            shelf = products.mapped(lambda t: t.unsqueeze(0))
            after = network.parts.interacted(alone, shelf, network.head())
            of_clips.append(Vectors(after[0].picture[0], clips.has_picture))
            of_products.append(Vectors(after[1].picture[0], products.has_picture))
        mined = [self.triplets(v, i, positive, classes) for v in of_clips for i in of_products]
        self.triplets.remember(of_products[0], classes)
        return torch.stack([one.loss for one in mined]).mean(), mined[0].skipped


def _once(products: ProductVectors, listed: Tensor) -> tuple[ProductVectors, Tensor]:
    """Each product once, where several processes list it."""
    numbers, place = torch.unique(listed, return_inverse=True)
    if len(numbers) == len(listed):
        return products, listed
    order = torch.arange(len(listed) - 1, -1, -1, device=listed.device)
    first = listed.new_zeros(len(numbers)).scatter(0, place.flip(0), order)
    return products[first], numbers


def _right(scores: Tensor, positive: Tensor) -> float:
    best = scores.argmax(1, keepdim=True)
    return float(positive.gather(1, best).float().mean())
