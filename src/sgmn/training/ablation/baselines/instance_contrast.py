"""Instance contrast in the style of RICE (Yang et al., ICCV 2023, arXiv 2308.04912).

The same as in the paper:

- A contrastive loss between the pooled vectors of clips and images, with weights that both share.
- Patches of a clip are aligned with those of its product's image in training.
- Pooled vectors rank: the paper's model without its second pass.

Different:

- The towers are frozen, as in every row. What is trained is one projection of frames and patches;
  RICE trains its towers.
- Patches are aligned by InfoNCE between the attended patches of the clip and the patches of the
  main image, each of which finds its best match. RICE aligns them by a fusion transformer for
  matching pairs (PMD) and by reconstructing the patches of the image from those of the clip (PFR);
  both are left out.
- The attended patches are the four of each frame that are closest to the transcript, or to the mean
  of the frames for a clip without transcript.
- RICE reads no text. Here, 0.5·cos(transcript, title) is added to the score, so that the row
  differs from others in how images are matched, and not in whether words are read.

Axes: B clips, T frames, N patches, M attended patches of all frames, S products, D dimensions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.graph import select_instances
from sgmn.model.guidance import GuidanceOutput, identity_linear, soft_normalize
from sgmn.model.network import SGMN
from sgmn.model.parts import Parts, PartsConfig, pool_frames
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ItemTokens
from sgmn.training.ablation.baselines.image_objective import ImageObjective
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.objective import Pairs

PATCHES_PER_FRAME = 4


class InstanceContrastParts(Parts):
    """A projection of frames and patches; in training, also the attended patches."""

    def __init__(self, dim: int, config: PartsConfig) -> None:
        super().__init__(dim, replace(config, enabled=()))
        self.projection = identity_linear(dim)

    @property
    def needs_tokens(self) -> bool:
        """Training needs patches."""
        return True

    def encode_guided_clips(self, tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
        """See `Parts`; `guidance` only has uniform weights here."""
        frames = functional.normalize(self.projection(tokens.images), dim=-1)
        clips = pool_frames(frames, guidance.frame_weights, tokens.text, tokens.has_text)
        if not self.training:
            return clips
        patches, mask = select_attended_patches(tokens)
        weights = mask / mask.sum(1, keepdim=True).clamp(min=1)
        instances = soft_normalize(self.projection(patches))
        return replace(clips, instances=instances, instance_weights=weights)

    def encode_products(self, tokens: ItemTokens) -> ProductVectors:
        """See `Parts`."""
        weights = self.guide(tokens, "products").frame_weights
        views = functional.normalize(self.projection(tokens.images), dim=-1)
        pooled = pool_frames(views, weights, tokens.text, tokens.has_text)
        products = ProductVectors(pooled.image, pooled.has_image, pooled.text, pooled.has_text)
        if not self.training:
            return products
        return replace(products, patches=soft_normalize(self.projection(tokens.patches[:, 0])))


def select_attended_patches(tokens: ItemTokens) -> tuple[Tensor, Tensor]:
    """Select the patches of each frame that are closest to the clip's text.

    Returns:
        The patches (B, M, D) of all frames and their mask (B, M) bool.
    """
    mean = functional.normalize(tokens.images.sum(1), dim=-1)
    query = torch.where(tokens.has_text.unsqueeze(1), tokens.text, mean)
    directions = functional.normalize(tokens.patches, dim=-1)
    cosines = torch.einsum("btnd,bd->btn", directions, query).clamp(min=-1)
    patches, mask = select_instances(tokens.patches, cosines, tokens.patch_mask, PATCHES_PER_FRAME)
    return patches.flatten(1, 2), mask.flatten(1, 2)


def patch_score(clips: ClipVectors, products: ProductVectors) -> Tensor:
    """Similarity (B, S): mean over the attended patches of the best cosine in the image."""
    padding = products.patches.square().sum(-1) == 0
    cosines = torch.einsum("bmd,snd->bsmn", clips.instances, products.patches)
    best = cosines.masked_fill(padding.unsqueeze(1), -1.0).amax(-1)
    return (best * clips.instance_weights.unsqueeze(1)).sum(-1)


class InstanceContrastObjective(ImageObjective):
    """InfoNCE on the score and on `patch_score`, each with a weight of 1."""

    def extra_losses(self, network: SGMN, pairs: Pairs, logit_scale: Tensor) -> dict[str, Tensor]:
        """Return the loss on patches; pairs without patches do not count."""
        clips, products = pairs.clips, pairs.products
        both = clips.has_image[:, None] & products.has_image
        logits = patch_score(clips, products) * logit_scale
        loss = info_nce(logits, pairs.positive & both, ~both | pairs.duplicates)
        return {"patches": loss}
