"""The training objective: a weighted sum of the losses of a batch.

score             InfoNCE on the score
text              InfoNCE on transcript and title alone
text_reliability  the same, with each transcript's logits multiplied by its reliability
image, glance,
late              InfoNCE on one term of the score alone
triplet           distance-weighted triplets of clips and products, before and after interaction
pair              each clip's product against its hardest negatives, as the second pass scores them
grounding         attention of labeled clips outside the boxes and frames of the product
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, compute_terms, score
from sgmn.training.config import VISUAL_LOSSES, LossConfig
from sgmn.training.data.batches import positive_mask
from sgmn.training.distributed import gather_rows
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.grounding import Grounding, grounding_loss
from sgmn.training.losses.mining import same_class_mask
from sgmn.training.losses.pairwise import PairwiseLoss


class BatchLoss(NamedTuple):
    """The loss of a batch.

    Attributes:
        loss: the scalar to minimize.
        losses: its weighted parts by name.
        accuracy: fraction of clips whose best product in the batch is theirs (0..1).
        skipped: number of clips without a negative.
    """

    loss: Tensor
    losses: dict[str, float]
    accuracy: float
    skipped: int


class Pairs(NamedTuple):
    """All clips and products of a batch, and which of them belong together."""

    clips: ClipVectors
    products: ProductVectors
    positive: Tensor  # (B, S) bool
    classes: Tensor  # (S,) duplicate classes
    candidates: Tensor  # (S,) positions among all products

    @property
    def duplicates(self) -> Tensor:
        """Which products are duplicates of a clip's product: (B, S) bool."""
        return same_class_mask(self.positive, self.classes, self.classes)


class Objective(nn.Module):
    """The losses of a config.

    Args:
        dim: length of the model's vectors.
        config: weights and options of the losses.
        classes: (P,) duplicate classes of all products.
        is_sold: (P,) bool, the products that some example sells; None for all.
    """

    classes: Tensor

    def __init__(
        self, dim: int, config: LossConfig, classes: Tensor, is_sold: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        is_sold = torch.ones_like(classes, dtype=torch.bool) if is_sold is None else is_sold
        self.pairwise = PairwiseLoss(config.hard_negatives, config.mining, is_sold)
        self.register_buffer("classes", classes, persistent=False)
        self.triplets = None
        if config.mining and config.triplet > 0:  # needs a library that no other loss needs
            from sgmn.training.losses.triplets import TripletLoss

            margin, memory = config.triplet_margin, config.triplet_memory
            self.triplets = TripletLoss(dim, margin, memory=memory)

    def forward(
        self,
        network: SGMN,
        clips: ClipVectors,
        products: ProductVectors,
        targets: Tensor,
        candidates: Tensor,
        grounding: Grounding | None = None,
    ) -> BatchLoss:
        """Compute the losses of a batch; with several processes, of the batch of all of them.

        Args:
            network: the model.
            clips: vectors of B clips.
            products: vectors of S products.
            targets: see `Batch.targets`.
            candidates: see `Batch.candidates`.
            grounding: attention and labels of the clips, if guidance is trained on them.
        """
        pairs = self._gather(clips, products, targets, candidates)
        weights, skipped = network.head(), 0
        scores = score(pairs.clips, pairs.products, weights)
        logits = scores * weights.logit_scale
        parts = {"score": info_nce(logits, pairs.positive, pairs.duplicates)}
        parts |= self._text_losses(pairs, weights.logit_scale)
        parts |= self._visual_losses(pairs, weights)
        if self.triplets is not None:
            loss, skipped = self._triplet_loss(network, pairs)
            parts["triplet"] = self.config.triplet * loss
        if self.config.pair > 0 and (self.config.mining or network.parts.has_reranker):
            loss, without_negative = self.pairwise(network, *pairs)
            parts["pair"], skipped = self.config.pair * loss, skipped + without_negative
        if grounding is not None and self.config.grounding > 0:
            loss = grounding_loss(gather_rows(grounding))
            parts["grounding"] = self.config.grounding * loss
        parts |= self.extra_losses(network, pairs, weights.logit_scale)
        total = torch.stack(list(parts.values())).sum()
        values = {name: float(loss.detach()) for name, loss in parts.items()}
        return BatchLoss(total, values, _accuracy(scores.detach(), pairs.positive), skipped)

    def _gather(
        self, clips: ClipVectors, products: ProductVectors, targets: Tensor, candidates: Tensor
    ) -> Pairs:
        """Combine the batches of all processes."""
        clips, targets = gather_rows(clips), gather_rows(targets + 1) - 1  # it pads with 0
        products, candidates = _unique(gather_rows(products), gather_rows(candidates))
        positive = positive_mask(targets, candidates)
        return Pairs(clips, products, positive, self.classes[candidates], candidates)

    def _text_losses(self, pairs: Pairs, logit_scale: Tensor) -> dict[str, Tensor]:
        clips, config = pairs.clips, self.config
        logits = clips.text @ pairs.products.text.T * logit_scale
        losses = {}
        if config.text > 0:
            losses["text"] = config.text * _text_loss(logits, pairs)
        if config.text_reliability > 0:
            loss = _text_loss(logits * clips.text_reliability[:, None], pairs)
            losses["text_reliability"] = config.text_reliability * loss
        return losses

    def _visual_losses(self, pairs: Pairs, weights: ScoreWeights) -> dict[str, Tensor]:
        """Losses on single terms, so that no term relies on the others."""
        names = [name for name in VISUAL_LOSSES if getattr(self.config, name) > 0]
        terms = compute_terms(pairs.clips, pairs.products, weights) if names else {}
        losses = {}
        for name in (name for name in names if name in terms):
            both = _has_vectors(pairs.clips, name)[:, None] & pairs.products.has_image
            logits = terms[name].value * weights.logit_scale
            loss = info_nce(logits, pairs.positive & both, ~both | pairs.duplicates)
            losses[name] = getattr(self.config, name) * loss
        return losses

    def _triplet_loss(self, network: SGMN, pairs: Pairs) -> tuple[Tensor, int]:
        """Average over (v, I) and, with interaction, also (v, I′), (v′, I) and (v′, I′)."""
        from sgmn.training.losses.triplets import MaskedVectors

        assert self.triplets is not None
        clips, products = pairs.clips, pairs.products
        clip_vectors = [MaskedVectors(clips.image, clips.has_image)]
        product_vectors = [MaskedVectors(products.image, products.has_image)]
        after = self.relate(network, clips, products)
        if after is not None:
            clip_vectors.append(MaskedVectors(after[0], clips.has_image))
            product_vectors.append(MaskedVectors(after[1], products.has_image))
        results = [
            self.triplets(v, i, pairs.positive, pairs.classes)
            for v in clip_vectors
            for i in product_vectors
        ]
        self.triplets.remember(product_vectors[0], pairs.classes)
        return torch.stack([result.loss for result in results]).mean(), results[0].skipped

    def relate(
        self, network: SGMN, clips: ClipVectors, products: ProductVectors
    ) -> tuple[Tensor, Tensor] | None:
        """Return the image vectors (B, D) and (S, D) after interaction, which triplets also use.

        None if the network has no interaction.
        """
        if network.parts.interaction is None:
            return None
        clip_group = clips.map_tensors(lambda t: t.unsqueeze(0))
        product_group = products.map_tensors(lambda t: t.unsqueeze(0))
        after = network.parts.apply_interaction(clip_group, product_group, network.head())
        return after[0].image[0], after[1].image[0]

    def extra_losses(self, network: SGMN, pairs: Pairs, logit_scale: Tensor) -> dict[str, Tensor]:
        """Return weighted losses that a subclass adds, by name."""
        return {}


def _has_vectors(clips: ClipVectors, term: str) -> Tensor:
    """Which clips (B,) have what a visual term compares."""
    return clips.has_image if term == "image" else (clips.glance_weights > 0).any(1)


def _text_loss(logits: Tensor, pairs: Pairs) -> Tensor:
    """InfoNCE among clips and products with text; products of the same title are no negatives."""
    both = pairs.clips.has_text[:, None] & pairs.products.has_text
    titles = pairs.products.text.detach()
    same_title = (pairs.positive.float() @ (titles @ titles.T > 1 - 1e-4).float()) > 0
    return info_nce(logits, pairs.positive & both, ~both | same_title | pairs.duplicates)


def _unique(products: ProductVectors, candidates: Tensor) -> tuple[ProductVectors, Tensor]:
    """Keep each product once where several processes list it."""
    unique, inverse = torch.unique(candidates, return_inverse=True)
    if len(unique) == len(candidates):
        return products, candidates
    reverse = torch.arange(len(candidates) - 1, -1, -1, device=candidates.device)
    first = candidates.new_zeros(len(unique)).scatter(0, inverse.flip(0), reverse)
    return products[first], unique


def _accuracy(scores: Tensor, positive: Tensor) -> float:
    best = scores.argmax(1, keepdim=True)
    return float(positive.gather(1, best).float().mean())
