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
from sgmn.model.graph import ClipGraph, instances
from sgmn.model.guidance import Guidance, Guided, direction
from sgmn.model.interaction import Interaction
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, score
from sgmn.model.text_context import Reading
from sgmn.model.text_pooling import Emphasizer
from sgmn.model.tokens import Tokens

PARTS = ("reading", "emphasis", "guidance", "graph", "instances", "interaction", "fusion")
Side = Literal["clips", "products"]


@dataclass(frozen=True)
class PartsConfig:
    """Which parts there are (`kept`, of PARTS), and their sizes.

    heads: of every attention. layers: of the clip graph. salient: patches of each frame that the
    graph and the re-ranker see. neighbours: of a node in the interaction. latents: tokens of a
    product in the re-ranker. candidates: how many of the first pass are scored again.
    """

    kept: tuple[str, ...] = ()
    heads: int = 4
    layers: int = 1
    salient: int = 4
    neighbours: int = 8
    latents: int = 8
    candidates: int = 20


class Parts(nn.Module):
    """The parts of a config, for towers of width `dim`."""

    def __init__(self, dim: int, config: PartsConfig) -> None:
        super().__init__()
        self.config = config
        kept, heads = set(config.kept), config.heads
        self.reading = Reading(dim, heads) if "reading" in kept else None
        self.emphasis = Emphasizer(dim) if "emphasis" in kept else None
        sides = ("clips", "products") if "guidance" in kept else ()
        self.guidance = nn.ModuleDict({side: Guidance(dim, heads) for side in sides})
        self.graph = (
            ClipGraph(dim, heads, config.layers, config.salient) if "graph" in kept else None
        )
        self.interaction = (
            Interaction(dim, heads, config.neighbours) if "interaction" in kept else None
        )
        self.fusion = Fusion(dim, heads, config.latents) if "fusion" in kept else None

    @property
    def reads_tokens(self) -> bool:
        """Whether any part looks at patches and single words."""
        return not {*PARTS}.difference({"interaction"}).isdisjoint(self.config.kept)

    @property
    def has_second(self) -> bool:
        """Whether there is anything to say about candidates that the first pass did not."""
        return self.interaction is not None or self.fusion is not None

    def look(self, tokens: Tokens, side: Side) -> Guided:
        """Where to look and what counts; without guidance, at everything alike."""
        return self.guidance[side](tokens) if self.guidance else alike(tokens)

    def read(self, tokens: Tokens) -> Tokens:
        """Clips with their words as they are meant."""
        return tokens if self.reading is None else self.reading(tokens)

    def clips(self, tokens: Tokens) -> ClipVectors:
        """Clips to vectors; a clip without frames or without words says so."""
        return self.guided_clips(tokens)[0]

    def guided_clips(self, tokens: Tokens) -> tuple[ClipVectors, Guided]:
        """The vectors of `clips`, and where was looked for them."""
        guided = self.look(tokens, "clips")
        frames = guided.frames
        if self.graph is not None:
            frames = self.graph(
                frames, tokens.present, tokens.patches, guided.patch_weights, tokens.patch_mask
            )
        read = self.read(tokens)
        found = pool(frames, guided.frame_weights, read.said, read.has_words)
        if self.emphasis is not None:
            said, telling = self.emphasis(read)
            found = replace(found, words=said, telling=telling)
        if "instances" in self.config.kept:
            found = with_instances(found, tokens, guided)
        if self.fusion is not None:
            found = self._with_tokens(found, read, guided)
        return found, guided

    def _with_tokens(self, found: ClipVectors, tokens: Tokens, guided: Guided) -> ClipVectors:
        """What the re-ranker reads: the frames, their salient patches, the words."""
        patches, there = instances(
            tokens.patches, guided.patch_weights, tokens.patch_mask, self.config.salient
        )
        read = torch.cat([found.frames, patches.flatten(1, 2), tokens.words], 1)
        mask = torch.cat([tokens.present, there.flatten(1, 2), tokens.word_mask], 1)
        return replace(found, tokens=read, token_mask=mask)

    def products(self, tokens: Tokens) -> ProductVectors:
        """Products to vectors; of several views, those count more that answer the title."""
        guided = self.look(tokens, "products")
        found = pool(guided.frames, guided.frame_weights, tokens.said, tokens.has_words)
        bare = ProductVectors(found.picture, found.has_picture, found.words, found.has_words)
        return bare if self.fusion is None else replace(bare, latents=self.fusion.products(tokens))

    def second(
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
        alone, theirs = clips.mapped(lambda t: t.unsqueeze(1)), products.mapped(lambda t: t[places])
        if there is not None:
            theirs = replace(theirs, has_picture=theirs.has_picture & there)
        if self.interaction is not None:
            alone, theirs = self.interacted(alone, theirs, weights)
        found = score(alone, theirs, weights).squeeze(1)
        if self.fusion is not None:
            side = self.fusion.clips(clips.tokens, clips.token_mask)
            found = found + self.fusion.chosen(side, products.latents, places)
        return found

    def interacted(
        self, clips: ClipVectors, products: ProductVectors, weights: ScoreWeights
    ) -> tuple[ClipVectors, ProductVectors]:
        """Groups of clips (G, W, …) and products (G, S, …) after they have seen each other."""
        assert self.interaction is not None
        seen, shown = self.interaction(
            clips.picture,
            clips.has_picture,
            products.picture,
            products.has_picture,
            score(clips, products, weights),
        )
        return replace(clips, picture=seen), replace(products, picture=shown)


def with_instances(found: ClipVectors, tokens: Tokens, guided: Guided) -> ClipVectors:
    """Clips with the patches of their frames, and what counts of each by time and place."""
    weights = guided.patch_weights * guided.frame_weights.unsqueeze(-1)
    patches = direction(tokens.patches).flatten(1, 2)
    return replace(found, instances=patches, instance_weights=weights.flatten(1, 2))


def alike(tokens: Tokens) -> Guided:
    """No guidance: every frame, patch and word counts alike."""
    return Guided(
        tokens.whole,
        _shares(tokens.present),
        _shares(tokens.patch_mask),
        _shares(tokens.word_mask),
    )


def _shares(mask: Tensor) -> Tensor:
    return mask / mask.sum(-1, keepdim=True).clamp(min=1)


def pool(frames: Tensor, weights: Tensor, words: Tensor, has_words: Tensor) -> ClipVectors:
    """Frame vectors (B, T, D) and their weights (B, T) to clips: v = norm(Σ ω[t]·norm(z[t]))."""
    picture = functional.normalize((frames * weights.unsqueeze(-1)).sum(1), dim=-1)
    return ClipVectors(frames, weights, picture, weights.sum(1) > 0, words, has_words)
