"""The parts of the network between the towers and the score. Each of them is optional.

    clips:     tokens -> guidance -> clip graph -> frame vectors, frame weights, one image vector;
               patches with weights, and second glances at the attended regions, as instances;
               words -> text context -> text pooling -> one text vector and its reliability
    products:  tokens -> guidance -> one image vector; patches and latents for the second pass
    second pass: best candidates of the first pass -> late interaction of the patches of glances,
               interaction, fusion -> new scores

Every untrained part is an identity: it does not change the scores. Training therefore starts from
mean pooling.

Axes: B clips, T frames, N patches, L words, S products, K candidates, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.fusion import Fusion
from sgmn.model.glance import weigh_glances
from sgmn.model.graph import ClipGraph, select_instances
from sgmn.model.guidance import Guidance, GuidanceOutput, soft_normalize, whole_canvas_boxes
from sgmn.model.interaction import Interaction
from sgmn.model.late_interaction import Glance
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, score
from sgmn.model.text_context import TextContext
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens

PARTS = (
    "text_context",
    "text_pooling",
    "guidance",
    "graph",
    "instances",
    "glance",
    "interaction",
    "fusion",
)
# The second glance needs guidance that has been trained to look at the product.
DEFAULT_PARTS = tuple(part for part in PARTS if part != "glance")
Side = Literal["clips", "products"]


@dataclass(frozen=True)
class PartsConfig:
    """The enabled parts and their sizes.

    Attributes:
        enabled: Names of `PARTS`.
        heads: Number of heads of every attention.
        graph_layers: Number of layers of the clip graph.
        salient_patches: Number of patches per frame that the graph and the re-ranker use.
        neighbors: Number of neighbors of each kind in the interaction.
        latents: Number of latent tokens per product in the re-ranker.
        candidates: Number of products of the first pass that the re-ranker scores.
    """

    enabled: tuple[str, ...] = ()
    heads: int = 4
    graph_layers: int = 1
    salient_patches: int = 4
    neighbors: int = 8
    latents: int = 8
    candidates: int = 20


class Parts(nn.Module):
    """The parts of a config, for towers with `dim` dimensions, and `fine_dim` of fine patches."""

    def __init__(self, dim: int, config: PartsConfig, fine_dim: int | None = None) -> None:
        super().__init__()
        self.config = config
        enabled, heads = set(config.enabled), config.heads
        self.text_context = TextContext(dim, heads) if "text_context" in enabled else None
        self.text_pooling = TextPooling(dim) if "text_pooling" in enabled else None
        sides = ("clips", "products") if "guidance" in enabled else ()
        self.guidance = nn.ModuleDict(
            {side: Guidance(dim, heads, localize=side == "clips") for side in sides}
        )
        self.graph = (
            ClipGraph(dim, heads, config.graph_layers, config.salient_patches)
            if "graph" in enabled
            else None
        )
        self.glance = Glance(dim, fine_dim) if "glance" in enabled else None
        self.interaction = (
            Interaction(dim, heads, config.neighbors) if "interaction" in enabled else None
        )
        self.fusion = Fusion(dim, heads, config.latents) if "fusion" in enabled else None

    @property
    def needs_tokens(self) -> bool:
        """Whether any part uses patches or words."""
        return not {*PARTS}.difference({"interaction"}).isdisjoint(self.config.enabled)

    @property
    def has_reranker(self) -> bool:
        """Whether candidates of the first pass are scored again."""
        return not {"glance", "interaction", "fusion"}.isdisjoint(self.config.enabled)

    def guide(self, tokens: ItemTokens, side: Side) -> GuidanceOutput:
        """Compute the attention over frames and patches; uniform without the guidance part."""
        return self.guidance[side](tokens) if self.guidance else uniform_guidance(tokens)

    def contextualize(self, tokens: ItemTokens) -> ItemTokens:
        """Apply the text context part to clips, if it is enabled."""
        return tokens if self.text_context is None else self.text_context(tokens)

    def encode_clips(self, tokens: ItemTokens) -> ClipVectors:
        """Encode clips. The masks of the result mark clips without frames or text."""
        return self.encode_guided_clips(tokens, self.guide(tokens, "clips"))

    def encode_guided_clips(self, tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
        """Encode clips with a given guidance.

        Diagnostics pass that of the same frames with other words, to find out whether it listens.
        """
        frames = guidance.frames
        if self.graph is not None:
            frames = self.graph(
                frames, tokens.image_mask, tokens.patches, guidance.patch_weights, tokens.patch_mask
            )
        context = self.contextualize(tokens)
        clips = pool_frames(frames, guidance.frame_weights, context.text, context.has_text)
        if self.guidance:
            clips = replace(clips, saliency=mean_saliency(guidance, tokens))
        if self.text_pooling is not None:
            text, reliability = self.text_pooling(context)
            clips = replace(clips, text=text, text_reliability=reliability)
        if self.glance is not None:
            clips = self._add_glances(clips, tokens, guidance)
        if "instances" in self.config.enabled:
            clips = add_instances(clips, tokens, guidance)
        if self.fusion is not None:
            clips = self._add_tokens(clips, context, guidance)
        return clips

    def _add_glances(
        self, clips: ClipVectors, tokens: ItemTokens, guidance: GuidanceOutput
    ) -> ClipVectors:
        """Add the second glances and their patches."""
        assert self.glance is not None
        weights = weigh_glances(tokens, guidance.frame_weights)
        return replace(
            clips,
            glances=tokens.glances,
            glance_weights=weights,
            glance_patches=self.glance.project_glances(tokens.glance_patches),
            late_reliability=self.glance.compute_reliability(tokens.glances, weights),
        )

    def _add_tokens(
        self, clips: ClipVectors, tokens: ItemTokens, guidance: GuidanceOutput
    ) -> ClipVectors:
        """Add the tokens of the re-ranker: frames, salient patches and words."""
        patches, patch_mask = select_instances(
            tokens.patches, guidance.patch_weights, tokens.patch_mask, self.config.salient_patches
        )
        joined = torch.cat([clips.frames, patches.flatten(1, 2), tokens.words], 1)
        mask = torch.cat([tokens.image_mask, patch_mask.flatten(1, 2), tokens.word_mask], 1)
        return replace(clips, tokens=joined, token_mask=mask)

    def encode_products(self, tokens: ItemTokens) -> ProductVectors:
        """Encode products. Guidance gives more weight to views that match the title."""
        guidance = self.guide(tokens, "products")
        pooled = pool_frames(guidance.frames, guidance.frame_weights, tokens.text, tokens.has_text)
        products = ProductVectors(pooled.image, pooled.has_image, pooled.text, pooled.has_text)
        if self.glance is not None:
            patches = self.glance.project_products(tokens.glance_patches.flatten(1, 2))
            products = replace(products, patches=patches)
        if self.fusion is None:
            return products
        return replace(products, latents=self.fusion.encode_products(tokens))

    def rescore(
        self,
        clips: ClipVectors,
        products: ProductVectors,
        weights: ScoreWeights,
        candidates: Tensor,
        candidate_mask: Tensor | None = None,
    ) -> Tensor:
        """Score each clip with its candidates again: (B, K).

        Every clip and its candidates form a group of their own in the interaction.

        Args:
            clips: B clips.
            products: S products.
            weights: The weights of the score.
            candidates: (B, K) long, indices into `products`.
            candidate_mask: (B, K) bool, False at padding; None for no padding.
        """
        clip_groups = clips.map_tensors(lambda t: t.unsqueeze(1))
        product_groups = products.map_tensors(lambda t: t[candidates])
        if candidate_mask is not None:
            has_image = product_groups.has_image & candidate_mask
            product_groups = replace(product_groups, has_image=has_image)
        if self.interaction is not None:
            clip_groups, product_groups = self.apply_interaction(
                clip_groups, product_groups, weights
            )
        scores = score(clip_groups, product_groups, weights).squeeze(1)
        if self.fusion is not None:
            side = self.fusion.prepare_clips(clips.tokens, clips.token_mask)
            scores = scores + self.fusion.score_candidates(side, products.latents, candidates)
        return scores

    def apply_interaction(
        self, clips: ClipVectors, products: ProductVectors, weights: ScoreWeights
    ) -> tuple[ClipVectors, ProductVectors]:
        """Apply the interaction to groups of clips (G, W, …) and products (G, S, …)."""
        assert self.interaction is not None
        clip_images, product_images = self.interaction(
            clips.image,
            clips.has_image,
            products.image,
            products.has_image,
            score(clips, products, weights),
        )
        return replace(clips, image=clip_images), replace(products, image=product_images)


def add_instances(clips: ClipVectors, tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
    """Add the patches of all frames, each weighted by its frame weight times its patch weight."""
    weights = guidance.patch_weights * guidance.frame_weights.unsqueeze(-1)
    patches = soft_normalize(tokens.patches).flatten(1, 2)
    return replace(clips, instances=patches, instance_weights=weights.flatten(1, 2))


def uniform_guidance(tokens: ItemTokens) -> GuidanceOutput:
    """Guidance with uniform weights over the frames, patches and words of each item."""
    return GuidanceOutput(
        tokens.images,
        _uniform_weights(tokens.image_mask),
        _uniform_weights(tokens.patch_mask),
        torch.zeros_like(tokens.images[..., 0]),
        _uniform_weights(tokens.word_mask),
        whole_canvas_boxes(tokens.image_mask),
    )


def _uniform_weights(mask: Tensor) -> Tensor:
    return mask / mask.sum(-1, keepdim=True).clamp(min=1)


def mean_saliency(guidance: GuidanceOutput, tokens: ItemTokens) -> Tensor:
    """How salient the frames of each clip are on average (B,); 0 without frames."""
    return (guidance.frame_saliency * _uniform_weights(tokens.image_mask)).sum(1)


def pool_frames(frames: Tensor, weights: Tensor, text: Tensor, has_text: Tensor) -> ClipVectors:
    """Pool frame vectors (B, T, D) with weights (B, T): v = norm(Σ_t ω[t]·z[t])."""
    image = functional.normalize((frames * weights.unsqueeze(-1)).sum(1), dim=-1)
    return ClipVectors(frames, weights, image, weights.sum(1) > 0, text, has_text)
