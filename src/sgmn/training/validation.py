"""Labelled clips ranked from the token cache: what a run with frozen towers is measured by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from sgmn.batching import batched
from sgmn.errors import MediaError
from sgmn.evaluation.ranking import Ranked, rank
from sgmn.media.record_content import clip_content, product_content
from sgmn.model.bundle import Model
from sgmn.model.inputs import Inputs
from sgmn.model.network import SGMN
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import MODALITIES, ProductVectors
from sgmn.model.tokens import Tokens
from sgmn.records import Clip, Product
from sgmn.training.data.cached_batches import silenced, without_frames
from sgmn.training.data.token_cache import TokenCache, towers_hash

FRAMES = 10  # a clip, as LPR4M's protocol has it
TOGETHER = 32
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Validation:
    """Clips and the products of their shops, as they are, for one pair of towers."""

    clips: Sequence[Clip]
    products: Sequence[Product]
    model: Model
    cache: TokenCache

    @classmethod
    def of(
        cls, clips: Sequence[Clip], products: Sequence[Product], model: Model, cache: TokenCache
    ) -> Validation:
        """The clips that have a truth, and all products of their shops."""
        shops = {clip.shop_id for clip in clips}
        assert cache.towers == towers_hash(model)
        return cls(
            [clip for clip in clips if clip.product_ids],
            [product for product in products if product.shop_id in shops],
            model,
            cache,
        )

    def fill(self, progress: Progress = lambda done, total: None) -> list[str]:
        """Encode what the cache lacks; a line for each clip or product that cannot be read."""
        damage: list[str] = []
        total = len(self.clips) + len(self.products)
        for done, (name, read) in enumerate(self._wanted(), start=1):
            if not self.cache.path(name).exists():
                try:
                    inputs = read()
                except MediaError as error:
                    damage.append(str(error))
                    continue
                with torch.inference_mode():
                    self.cache.write([name], self.model.network.eval().tokens(inputs).to("cpu"))
            progress(done, total)
        return damage

    def _wanted(self) -> Iterator[tuple[str, Callable[[], Inputs]]]:
        for clip in self.clips:
            yield self._clip_name(clip), partial(self._clip, clip)
        for product in self.products:
            yield self._product_name(product), partial(self._product, product)

    def _clip(self, clip: Clip) -> Inputs:
        side = max(map(max, self.model.preparation.canvases))
        return self.model.preparation.clips([clip_content(clip, wanted=FRAMES, max_side=side)])

    def _product(self, product: Product) -> Inputs:
        side = max(map(max, self.model.preparation.canvases))
        return self.model.preparation.products([product_content(product, max_side=side)])

    def _clip_name(self, clip: Clip) -> str:
        files = [clip.video] if clip.video else clip.frames
        return self.cache.name(files, "plain clip", clip.start, clip.end, clip.words, FRAMES)

    def _product_name(self, product: Product) -> str:
        return self.cache.name(product.pictures, "plain product", product.title)

    def ranked(self, network: SGMN, use: Collection[str] = MODALITIES) -> Iterator[Ranked]:
        """Each clip's shop ranked for it by a network on these towers.

        A clip that could not be read has no prediction: a miss.
        """
        network.eval()
        shelves = self._shelves(network)
        ranker, dim = Ranker.of(network), network.towers.dim
        for clips in batched(self.clips, TOGETHER):
            names = [self._clip_name(clip) for clip in clips]
            tokens = _only(self.cache.read_or_empty(names, dim), use)
            with torch.inference_mode():
                vectors = network.parts.clips(tokens.to(network.device)).to("cpu")
            for row, (clip, name) in enumerate(zip(clips, names, strict=True)):
                ids, shelf = shelves[clip.shop_id]
                scores = ranker.scores(vectors[row : row + 1], shelf)[0].numpy()
                there = self.cache.path(name).exists()
                yield rank(clip, ids, scores if there else np.full_like(scores, -np.inf))

    def _shelves(self, network: SGMN) -> dict[str, tuple[list[str], ProductVectors]]:
        """The products of each shop, in order of their ids, and their vectors."""
        found = {}
        for shop in dict.fromkeys(product.shop_id for product in self.products):
            own = sorted(
                (p for p in self.products if p.shop_id == shop), key=lambda p: p.product_id
            )
            names = (self._product_name(product) for product in own)
            with torch.inference_mode():
                parts = [
                    network.products(self.cache.read_or_empty(some, network.towers.dim)).to("cpu")
                    for some in batched(names, TOGETHER)
                ]
            found[shop] = ([p.product_id for p in own], ProductVectors.cat(parts))
        return found


def _only(tokens: Tokens, use: Collection[str]) -> Tokens:
    if "words" not in use:
        tokens = silenced(tokens, torch.ones_like(tokens.has_words))
    if "picture" not in use:
        tokens = without_frames(tokens, torch.zeros_like(tokens.present))
    return tokens
