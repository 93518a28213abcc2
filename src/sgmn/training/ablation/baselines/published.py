"""SGMN as its authors' released code behaves (Hu et al., ACM MM 2024, arXiv 2407.16248).

The same as in the released code:

- Guidance is attention with the pooled text as its only key. A softmax over one key is 1, so every
  patch of a clip gets the same vector, whatever it shows; queries and keys have no effect.
- A temporal block over frames and their differences, with a residual; then mean pooling.
- The graph is a training regularizer: the vectors of a batch exchange messages, and triplets
  compare the results. Its edges are distances within a modality, a constant from clip to product,
  and from product to clip how evenly the frames resemble the product. Ranking does not use it.
- Distance-weighted triplets, InfoNCE on projected transcripts and titles, and the cross-entropy of
  each clip's product against its three hardest negatives in the batch.
- The score is cos(clip, image) + 0.5·cos(transcript, title). The 0.5 is not learned.

Different, most of it in favor of the baseline:

- The towers are frozen, as in every row. The released code trains them.
- The released code passes guided patches to a cross-encoder, which has the pairwise loss and does
  not rank. Here, guidance is part of the vectors that rank, and the pairwise loss is on the score.
- The pairwise softmax has the clip's product as its target. The released code reads the diagonal of
  a matrix that has all products in its first column.
- Frame vectors stand for the mean of the patches. The two are equal for towers with average
  pooling; for towers with a class token, the released code also ranks by frame vectors.
- Guidance and the temporal block start as an identity and have no dropout. The temporal block has
  one layer instead of four, and no positions; guidance has no feed-forward layer.
- InfoNCE on the score is added, as in every row, and the logit scale is learned.
- The graph connects all vectors, not the nearer half, and its edges are not read out by a learned
  layer. The regularizer of that layer has no gradient to the vectors and is left out.
- A missing modality is left out of the score. A clip without text gives NaN in the released code.

Axes: B clips, T frames, S products, D dimensions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import GuidanceOutput, identity_linear, zero_linear
from sgmn.model.network import SGMN
from sgmn.model.parts import Parts, PartsConfig, pool_frames
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ItemTokens
from sgmn.training.config import LossConfig
from sgmn.training.losses.objective import Objective

HARD_NEGATIVES = 3
NEGATIVE_SLOPE = 0.1  # of cosines below 0, in the edges from products to clips


class PublishedParts(Parts):
    """The parts of the published method between the towers and the score."""

    def __init__(self, dim: int, config: PartsConfig) -> None:
        super().__init__(dim, replace(config, enabled=()))
        self.value = nn.Linear(dim, dim)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)
        self.temporal = TemporalBlock(dim, config.heads)
        self.transcript, self.title = identity_linear(dim), identity_linear(dim)
        self.instance_graph = InstanceGraph(dim, config.heads)

    @property
    def needs_tokens(self) -> bool:
        """Mean pooling commutes with adding one vector, so frame vectors are enough."""
        return False

    def add_text(self, rows: Tensor, mask: Tensor, tokens: ItemTokens) -> Tensor:
        """Add the same vector, computed from the item's pooled text, to all of its rows.

        Args:
            rows: (B, R, D) frames or patches; an item without text keeps its rows.
            mask: (B, R) bool, False at padding, which stays 0.
            tokens: the items.
        """
        added: Tensor = self.value(tokens.text).masked_fill(~tokens.has_text.unsqueeze(1), 0.0)
        return (rows + added.unsqueeze(1)).masked_fill(~mask.unsqueeze(-1), 0.0)

    def encode_guided_clips(self, tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
        """See `Parts`; `guidance` only has uniform weights here."""
        frames = self.add_text(tokens.images, tokens.image_mask, tokens)
        frames = self.temporal(functional.normalize(frames, dim=-1), tokens.image_mask)
        text = functional.normalize(self.transcript(tokens.text), dim=-1)
        return pool_frames(
            functional.normalize(frames, dim=-1), guidance.frame_weights, text, tokens.has_text
        )

    def encode_products(self, tokens: ItemTokens) -> ProductVectors:
        """See `Parts`."""
        weights = self.guide(tokens, "products").frame_weights
        views = self.add_text(tokens.images, tokens.image_mask, tokens)
        text = functional.normalize(self.title(tokens.text), dim=-1)
        pooled = pool_frames(functional.normalize(views, dim=-1), weights, text, tokens.has_text)
        return ProductVectors(pooled.image, pooled.has_image, pooled.text, pooled.has_text)


class TemporalBlock(nn.Module):
    """A transformer layer over frames and differences of neighboring frames, with a residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.kinds = nn.Parameter(torch.zeros(2, dim))
        self.layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout=0.0, batch_first=True, norm_first=True
        )
        self.output = zero_linear(dim, dim)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Add temporal context to frames (B, T, D); padding stays 0.

        Args:
            frames: (B, T, D), zero at padding.
            mask: (B, T) bool, False at padding.
        """
        differences = frames[:, 1:] - frames[:, :-1]
        nodes = torch.cat([frames + self.kinds[0], differences + self.kinds[1]], 1)
        present = torch.cat([mask, mask[:, 1:] & mask[:, :-1]], 1)
        padding = ~present & present.any(1, keepdim=True)  # no row may be all padding
        context = self.layer(nodes, src_key_padding_mask=padding)[:, : frames.shape[1]]
        with_context: Tensor = frames + self.output(context)
        return with_context.masked_fill(~mask.unsqueeze(-1), 0.0)


class InstanceGraph(nn.Module):
    """A transformer layer over the clips and products of a batch, for training only."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(dim, heads, dim, dropout=0.1, batch_first=True)

    def forward(self, clips: ClipVectors, products: ProductVectors) -> tuple[Tensor, Tensor]:
        """Return the image vectors of clips (B, D) and products (S, D) after messages."""
        nodes = torch.cat([clips.image, products.image]).float()
        present = torch.cat([clips.has_image, products.has_image])
        itself = torch.eye(len(nodes), dtype=torch.bool, device=nodes.device)
        edges = self.compute_edges(clips, products).masked_fill(~present & ~itself, -torch.inf)
        after = functional.normalize(self.layer(nodes[None], src_mask=edges)[0], dim=-1)
        return after[: len(clips)], after[len(clips) :]

    @torch.no_grad()
    def compute_edges(self, clips: ClipVectors, products: ProductVectors) -> Tensor:
        """Logits (B + S, B + S) that each vector (column) adds to its message to another (row)."""
        frames, images = clips.frames.float(), products.image.float()
        cosines = torch.einsum("btd,sd->bst", frames, images)
        similarity = functional.leaky_relu(cosines, NEGATIVE_SLOPE)
        count = (clips.frame_weights > 0).sum(1).clamp(min=1)
        evenness = functional.normalize(similarity, dim=-1).sum(-1) / count.unsqueeze(1)
        constant = count.rsqrt().expand(len(products), -1)
        within = [(-torch.cdist(rows, rows)).exp() for rows in (clips.image.float(), images)]
        to_clips, to_products = torch.cat([within[0], evenness], 1), [constant, within[1]]
        return torch.cat([to_clips, torch.cat(to_products, 1)])


class PublishedObjective(Objective):
    """The losses of the published method, each with a weight of 1."""

    def __init__(self, dim: int, config: LossConfig, classes: Tensor, is_sold: Tensor) -> None:
        config = replace(
            config,
            text=1.0,
            triplet=1.0,
            pair=1.0,
            text_reliability=0.0,
            grounding=0.0,
            hard_negatives=HARD_NEGATIVES,
            mining=True,  # of negatives in the batch; the batches are those of the other rows
        )
        super().__init__(dim, config, classes, is_sold)

    def relate(
        self, network: SGMN, clips: ClipVectors, products: ProductVectors
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of the instance graph, which triplets compare as well."""
        vectors: tuple[Tensor, Tensor] = cast(PublishedParts, network.parts).instance_graph(
            clips, products
        )
        return vectors
