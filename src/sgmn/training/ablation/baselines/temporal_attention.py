"""Attention over frames in the style of SEAM Match-RCNN (Godi et al., WACV 2022, arXiv 2110.02627).

The same as in the paper:

- A non-local block lets every frame of a clip gather from the other frames, with a residual.
- A learned score weights the frames; their weighted sum is the vector of the clip.
- Shop images pass through the same projection as frames.

Different:

- The towers are frozen, as in every row. SEAM trains Mask R-CNN from fashion data.
- Frames stand for the boxes that SEAM detects and tracks.
- Clips and images are matched by InfoNCE on their cosine among the products of the batch. SEAM
  classifies the squared difference of each pair as matching or not.
- SEAM reads no text. Here, 0.5·cos(transcript, title) is added to the score, as in every baseline.

Axes: B clips, T frames, D dimensions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.guidance import GuidanceOutput, identity_linear, masked_softmax, zero_linear
from sgmn.model.parts import Parts, PartsConfig, pool_frames
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ItemTokens


class TemporalAttentionParts(Parts):
    """A shared projection, a non-local block over frames, and learned weights of frames."""

    def __init__(self, dim: int, config: PartsConfig) -> None:
        super().__init__(dim, replace(config, enabled=()))
        self.projection = identity_linear(dim)
        self.block = NonLocalBlock(dim)
        self.saliency = zero_linear(dim, 1)

    @property
    def needs_tokens(self) -> bool:
        """Frame vectors are enough."""
        return False

    def encode_guided_clips(self, tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
        """See `Parts`; `guidance` only has uniform weights here."""
        frames = functional.normalize(self.projection(tokens.images), dim=-1)
        frames = self.block(frames, tokens.image_mask)
        weights = masked_softmax(self.saliency(frames).squeeze(-1), tokens.image_mask)
        frames = functional.normalize(frames, dim=-1)
        return pool_frames(frames, weights, tokens.text, tokens.has_text)

    def encode_products(self, tokens: ItemTokens) -> ProductVectors:
        """See `Parts`."""
        weights = self.guide(tokens, "products").frame_weights
        views = functional.normalize(self.projection(tokens.images), dim=-1)
        pooled = pool_frames(views, weights, tokens.text, tokens.has_text)
        return ProductVectors(pooled.image, pooled.has_image, pooled.text, pooled.has_text)


class NonLocalBlock(nn.Module):
    """The block of Wang et al. (CVPR 2018) over frames: x + output(softmax(qkᵀ/√D)·v)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim // 2) for _ in range(3))
        self.output = zero_linear(dim // 2, dim)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Add what frames gather from each other; padding stays 0.

        Args:
            frames: (B, T, D), zero at padding.
            mask: (B, T) bool, False at padding.
        """
        query, key, value = self.query(frames), self.key(frames), self.value(frames)
        logits = torch.einsum("btd,bsd->bts", query, key) * query.shape[-1] ** -0.5
        weights = masked_softmax(logits, mask.unsqueeze(1).expand_as(logits))
        gathered: Tensor = frames + self.output(weights @ value)
        return gathered.masked_fill(~mask.unsqueeze(-1), 0.0)
