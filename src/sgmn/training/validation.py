"""Ranks labeled clips from the token cache, to evaluate runs with frozen towers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from sgmn.batching import batched
from sgmn.errors import MediaError
from sgmn.evaluation.ranking import RankedClip, rank_clip
from sgmn.media.content_loader import load_clip_content, load_product_content
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.network import SGMN
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import MODALITIES, ProductVectors
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip, Product
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.data.token_edits import remove_frames, remove_text

FRAMES_PER_CLIP = 10  # as in the protocol of LPR4M
BATCH_SIZE = 32
ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class Validation:
    """Labeled clips and the products of their shops, encoded by one pair of towers."""

    clips: Sequence[Clip]
    products: Sequence[Product]
    model: ModelBundle
    cache: TokenCache

    @classmethod
    def create(
        cls,
        clips: Sequence[Clip],
        products: Sequence[Product],
        model: ModelBundle,
        cache: TokenCache,
    ) -> Validation:
        """Select the clips with a label, and all products of their shops."""
        shops = {clip.shop_id for clip in clips}
        assert cache.towers_hash == hash_towers(model)
        return cls(
            [clip for clip in clips if clip.product_ids],
            [product for product in products if product.shop_id in shops],
            model,
            cache,
        )

    def fill(self, progress: ProgressCallback = lambda done, total: None) -> list[str]:
        """Encode the missing cache entries; return one line for each item that cannot be read."""
        errors: list[str] = []
        total = len(self.clips) + len(self.products)
        for done, (name, load) in enumerate(self._entries(), start=1):
            if not self.cache.entry_path(name).exists():
                try:
                    self.cache.write(name, load())
                except MediaError as error:
                    errors.append(str(error))
                    continue
            progress(done, total)
        return errors

    def _entries(self) -> Iterator[tuple[str, Callable[[], ItemTokens]]]:
        """Yield the name of each cache entry and a function that encodes it."""
        for clip in self.clips:
            yield self._clip_entry(clip), partial(self._encode_clip, clip)
        for product in self.products:
            yield self._product_entry(product), partial(self._encode_product, product)

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder(self.model)

    def _encode_clip(self, clip: Clip) -> ItemTokens:
        side = self._embedder.max_side
        content = load_clip_content(clip, max_frames=FRAMES_PER_CLIP, max_side=side)
        frames = self._embedder.encode_frames(content.frames)
        return self._embedder.build_clip_tokens([frames], [content.text])

    def _encode_product(self, product: Product) -> ItemTokens:
        content = load_product_content(product, max_side=self._embedder.max_side)
        return self._embedder.build_product_tokens([content])

    def _clip_entry(self, clip: Clip) -> str:
        files = [clip.video] if clip.video else clip.frames
        facts = ("plain clip", clip.start, clip.end, clip.text, FRAMES_PER_CLIP)
        return self.cache.entry_name(files, *facts)

    def _product_entry(self, product: Product) -> str:
        return self.cache.entry_name(product.image_paths, "plain product", product.title)

    def rank_clips(
        self, network: SGMN, modalities: Collection[str] = MODALITIES
    ) -> Iterator[RankedClip]:
        """Rank the products of its shop for each clip; a clip that cannot be read is a miss.

        Args:
            network: a network on the same towers.
            modalities: modalities of the clips to use.
        """
        network.eval()
        shelves = self._shelves(network)
        ranker, dim = Ranker.from_network(network), network.towers.dim
        for clips in batched(self.clips, BATCH_SIZE):
            names = [self._clip_entry(clip) for clip in clips]
            tokens = _select_modalities(self.cache.read_or_empty(names, dim), modalities)
            with torch.inference_mode():
                vectors = network.parts.encode_clips(tokens.to(network.device)).to("cpu")
            for row, (clip, name) in enumerate(zip(clips, names, strict=True)):
                product_ids, products = shelves[clip.shop_id]
                scores = ranker.score(vectors[row : row + 1], products)[0].numpy()
                readable = self.cache.entry_path(name).exists()
                yield rank_clip(
                    clip, product_ids, scores if readable else np.full_like(scores, -np.inf)
                )

    def _shelves(self, network: SGMN) -> dict[str, tuple[list[str], ProductVectors]]:
        """Return the product ids of each shop, sorted, and their vectors."""
        shelves = {}
        for shop in dict.fromkeys(product.shop_id for product in self.products):
            own = [product for product in self.products if product.shop_id == shop]
            own.sort(key=lambda product: product.product_id)
            names = (self._product_entry(product) for product in own)
            with torch.inference_mode():
                parts = [
                    network.encode_products(self.cache.read_or_empty(b, network.towers.dim)).to(
                        "cpu"
                    )
                    for b in batched(names, BATCH_SIZE)
                ]
            shelves[shop] = ([p.product_id for p in own], ProductVectors.cat(parts))
        return shelves


def _select_modalities(tokens: ItemTokens, modalities: Collection[str]) -> ItemTokens:
    if "text" not in modalities:
        tokens = remove_text(tokens, torch.ones_like(tokens.has_text))
    if "image" not in modalities:
        tokens = remove_frames(tokens, torch.ones_like(tokens.image_mask))
    return tokens
