"""The parts between the towers and the score, each of which may be left out.

    clips:    tokens -> guidance -> clip graph -> frames, their weights, one vector a clip;
              and the patches with theirs, for the instances of the score;
              words -> reading -> emphasis -> what is said, and how much it tells
    products: tokens -> guidance -> one vector a product, and the latents of the re-ranker
    second:   the best of the first pass -> interaction, fusion -> their score again

Every part starts as the identity, so that fresh parts change nothing; they are asked to improve
on mean pooling. Axes: B clips, T frames, N patches, L words, S products, K candidates, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.fusion import Fusion
from sgmn.model.graph import ClipGraph, select_instances
from sgmn.model.guidance import Guidance, GuidanceOutput, soft_normalize
from sgmn.model.interaction import Interaction
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, score
from sgmn.model.text_context import TextContext
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens

PARTS = ("text_context", "text_pooling", "guidance", "graph", "instances", "interaction", "fusion")
Side = Literal["clips", "products"]


@dataclass(frozen=True)
class PartsConfig:
    """Which parts there are (`enabled`, of PARTS), and their sizes.

    heads: of every attention. graph_layers: of the clip graph. salient_patches: patches of each frame that the
    graph and the re-ranker see. neighbors: of a node in the interaction. latents: tokens of a
    product in the re-ranker. candidates: how many of the first pass are scored again.
    """

    enabled: tuple[str, ...] = ()
    heads: int = 4
    graph_layers: int = 1
    salient_patches: int = 4
    neighbors: int = 8
    latents: int = 8
    candidates: int = 20


class Parts(nn.Module):
    """The parts of a config, for towers of width `dim`."""

    def __init__(self, dim: int, config: PartsConfig) -> None:
        super().__init__()
        self.config = config
        kept, heads = set(config.enabled), config.heads
        self.text_context = TextContext(dim, heads) if "text_context" in kept else None
        self.text_pooling = TextPooling(dim) if "text_pooling" in kept else None
        sides = ("clips", "products") if "guidance" in kept else ()
        self.guidance = nn.ModuleDict({side: Guidance(dim, heads) for side in sides})
        self.graph = (
            ClipGraph(dim, heads, config.graph_layers, config.salient_patches)
            if "graph" in kept
            else None
        )
        self.interaction = (
            Interaction(dim, heads, config.neighbors) if "interaction" in kept else None
        )
        self.fusion = Fusion(dim, heads, config.latents) if "fusion" in kept else None

    @property
    def needs_tokens(self) -> bool:
        """Whether any part looks at patches and single words."""
        return not {*PARTS}.difference({"interaction"}).isdisjoint(self.config.enabled)

    @property
    def has_reranker(self) -> bool:
        """Whether there is anything to say about candidates that the first pass did not."""
        return self.interaction is not None or self.fusion is not None

    def guide(self, tokens: ItemTokens, side: Side) -> GuidanceOutput:
        """Where to look and what counts; without guidance, at everything alike."""
        return self.guidance[side](tokens) if self.guidance else uniform_guidance(tokens)

    def contextualize(self, tokens: ItemTokens) -> ItemTokens:
        """Clips with their words as they are meant."""
        return tokens if self.text_context is None else self.text_context(tokens)

    def encode_clips(self, tokens: ItemTokens) -> ClipVectors:
        """Clips to vectors; a clip without frames or without words says so."""
        return self.encode_guided_clips(tokens)[0]

    def encode_guided_clips(self, tokens: ItemTokens) -> tuple[ClipVectors, GuidanceOutput]:
        """The vectors of `clips`, and where was looked for them."""
        guided = self.guide(tokens, "clips")
        frames = guided.frames
        if self.graph is not None:
            frames = self.graph(
                frames, tokens.image_mask, tokens.patches, guided.patch_weights, tokens.patch_mask
            )
        read = self.contextualize(tokens)
        found = pool_frames(frames, guided.frame_weights, read.text, read.has_text)
        if self.text_pooling is not None:
            said, reliability = self.text_pooling(read)
            found = replace(found, text=said, text_reliability=reliability)
        if "instances" in self.config.enabled:
            found = add_instances(found, tokens, guided)
        if self.fusion is not None:
            found = self._with_tokens(found, read, guided)
        return found, guided

    def _with_tokens(self, found: ClipVectors, tokens: ItemTokens, guided: GuidanceOutput) -> ClipVectors:
        """What the re-ranker reads: the frames, their salient patches, the words."""
        patches, there = select_instances(
            tokens.patches, guided.patch_weights, tokens.patch_mask, self.config.salient_patches
        )
        read = torch.cat([found.frames, patches.flatten(1, 2), tokens.words], 1)
        mask = torch.cat([tokens.image_mask, there.flatten(1, 2), tokens.word_mask], 1)
        return replace(found, tokens=read, token_mask=mask)

    def encode_products(self, tokens: ItemTokens) -> ProductVectors:
        """Products to vectors; of several views, those count more that answer the title."""
        guided = self.guide(tokens, "products")
        found = pool_frames(guided.frames, guided.frame_weights, tokens.text, tokens.has_text)
        bare = ProductVectors(found.image, found.has_image, found.text, found.has_text)
        return bare if self.fusion is None else replace(bare, latents=self.fusion.encode_products(tokens))

    def rescore(
        self,
        clips: ClipVectors,
        products: ProductVectors,
        weights: ScoreWeights,
        places: Tensor,
        there: Tensor | None = None,
    ) -> Tensor:
        """The score (B, K) of each clip with its candidates, at `places` (B, K) of `products`.

        Each clip meets its own candidates: near-twins see each other and the clip. `there`
        (B, K) bool tells which places stand for a candidate at all.
        """
        alone, theirs = clips.map_tensors(lambda t: t.unsqueeze(1)), products.map_tensors(lambda t: t[places])
        if there is not None:
            theirs = replace(theirs, has_image=theirs.has_image & there)
        if self.interaction is not None:
            alone, theirs = self.apply_interaction(alone, theirs, weights)
        found = score(alone, theirs, weights).squeeze(1)
        if self.fusion is not None:
            side = self.fusion.prepare_clips(clips.tokens, clips.token_mask)
            found = found + self.fusion.score_candidates(side, products.latents, places)
        return found

    def apply_interaction(
        self, clips: ClipVectors, products: ProductVectors, weights: ScoreWeights
    ) -> tuple[ClipVectors, ProductVectors]:
        """Groups of clips (G, W, …) and products (G, S, …) after they have seen each other."""
        assert self.interaction is not None
        seen, shown = self.interaction(
            clips.image,
            clips.has_image,
            products.image,
            products.has_image,
            score(clips, products, weights),
        )
        return replace(clips, image=seen), replace(products, image=shown)


def add_instances(found: ClipVectors, tokens: ItemTokens, guided: GuidanceOutput) -> ClipVectors:
    """Clips with the patches of their frames, and what counts of each by time and place."""
    weights = guided.patch_weights * guided.frame_weights.unsqueeze(-1)
    patches = soft_normalize(tokens.patches).flatten(1, 2)
    return replace(found, instances=patches, instance_weights=weights.flatten(1, 2))


def uniform_guidance(tokens: ItemTokens) -> GuidanceOutput:
    """No guidance: every frame, patch and word counts alike."""
    return GuidanceOutput(
        tokens.images,
        _shares(tokens.image_mask),
        _shares(tokens.patch_mask),
        _shares(tokens.word_mask),
    )


def _shares(mask: Tensor) -> Tensor:
    return mask / mask.sum(-1, keepdim=True).clamp(min=1)


def pool_frames(frames: Tensor, weights: Tensor, words: Tensor, has_words: Tensor) -> ClipVectors:
    """Frame vectors (B, T, D) and their weights (B, T) to clips: v = norm(Σ ω[t]·norm(z[t]))."""
    picture = functional.normalize((frames * weights.unsqueeze(-1)).sum(1), dim=-1)
    return ClipVectors(frames, weights, picture, weights.sum(1) > 0, words, has_words)
