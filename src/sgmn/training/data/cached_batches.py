"""Batches of a run whose towers are held still: from the token cache instead of from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from sgmn.batching import batched
from sgmn.data.dataset import Photo
from sgmn.errors import MediaError
from sgmn.model.bundle import Model
from sgmn.model.inputs import Inputs
from sgmn.model.tokens import Tokens
from sgmn.records import Clip, Product
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batches import Batches, Read
from sgmn.training.data.examples import Examples, Key
from sgmn.training.data.token_cache import TokenCache, file_hash, towers_hash

Item = Clip | Photo
T = TypeVar("T")
# Of DataConfig:
NOT_OF_ITEMS = ("folders", "split", "clip_times", "views", "by_shop", "negatives", "variants")


class CachedBatches(Batches):
    """The same batches; `variants` versions of each item are worn once, when the cache is filled.

    Drawn anew for each batch: the variant, the frames dropped, whole transcripts and titles
    taken for silent.
    """

    from_files = False

    def __init__(
        self, examples: Examples, model: Model, data: DataConfig, train: TrainConfig, folder: Path
    ) -> None:
        still = replace(train, drop_transcript=0.0, drop_title=0.0, drop_frames=0.0)
        super().__init__(examples, model.preparation, data, train)
        self.contents.train = still
        self.model, self.cache = model, TokenCache(folder, towers_hash(model))
        files = (*data.sayings, *([data.phrases] if data.phrases else []))
        self.told = [file_hash(path) for path in files]

    def fill(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
        """Encode what the cache lacks; lines about what could not be read, which is left out."""
        items, products = self.examples.items, self.examples.products
        total = (len(items) + len(products)) * self.data.variants
        damage: list[str] = []
        for done, (name, read) in enumerate(self._wanted(), start=1):
            if not self.cache.path(name).exists():
                self._make(name, read, damage)
            progress(done, total)
        return damage

    def _wanted(self) -> Iterator[tuple[str, Callable[[], Inputs]]]:
        for variant in range(self.data.variants):
            for item in self.examples.items:
                yield self._clip_name(item, variant), partial(self._clip, item, variant)
            for product in self.examples.products.values():
                name = self._product_name(product, variant)
                yield name, partial(self._product, product, variant)

    def _make(self, name: str, read: Callable[[], Inputs], damage: list[str]) -> None:
        try:
            inputs = read()
        except MediaError as error:
            damage.append(str(error))
            return
        network = self.model.network.eval()
        with torch.inference_mode():
            self.cache.write([name], network.tokens(inputs).to("cpu"))

    def _clip(self, item: Item, variant: int) -> Inputs:
        rng = np.random.default_rng((3, variant, crc32(_id(item).encode())))
        return self.prepare.clips([self.contents.clip(item, self.data.clutter, rng)])

    def _product(self, product: Product, variant: int) -> Inputs:
        if not variant:
            return self.prepare.products([self.contents.plain_product(product)])
        rng = np.random.default_rng((4, variant, crc32(repr(product.key).encode())))
        return self.prepare.products([self.contents.product(product, rng)])

    def _clip_name(self, item: Item, variant: int) -> str:
        worn = (variant, _id(item), self.train.jitter, self.train.drop_word)
        data = sorted((k, v) for k, v in asdict(self.data).items() if k not in NOT_OF_ITEMS)
        if isinstance(item, Photo):  # composed with others of all that there are
            count = len(self.examples.items)
            return self.cache.name([item.path], "photo", worn, data, self.told, count)
        files = [item.video] if item.video else item.frames
        return self.cache.name(files, "clip", item.start, item.end, item.words, worn, data)

    def _product_name(self, product: Product, variant: int) -> str:
        worn = (variant, repr(product.key), self.train.jitter) if variant else ()
        return self.cache.name(product.pictures, "product", product.title, worn)

    def _clips(
        self, items: Sequence[Item], index: int, rng: np.random.Generator, damage: list[str]
    ) -> tuple[list[Item], Read, None]:
        """See `Batches._clips`; the cache knows no boxes."""
        names = [self._clip_name(i, int(rng.integers(self.data.variants))) for i in items]
        kept, tokens = self._read(items, names, damage)
        silent = rng.random(len(kept)) < self.train.drop_transcript
        stays = _span_kept(tokens.present, self.train.drop_frames, rng)
        return kept, silenced(without_frames(tokens, stays), torch.from_numpy(silent)), None

    def _products(
        self, listed: Sequence[Key], rng: np.random.Generator, damage: list[str]
    ) -> tuple[list[Key], Read]:
        """See `Batches._products`."""
        known = [self.examples.products[key] for key in listed]
        names = [self._product_name(p, int(rng.integers(self.data.variants))) for p in known]
        kept, tokens = self._read(listed, names, damage)
        silent = torch.from_numpy(rng.random(len(kept)) < self.train.drop_title)
        return kept, silenced(tokens, silent & tokens.present.any(1))

    def _read(
        self, items: Sequence[T], names: Sequence[str], damage: list[str]
    ) -> tuple[list[T], Tokens]:
        """The rows that the cache has; what could not be encoded is named in `damage`."""
        there = [self.cache.path(name).exists() for name in names]
        damage += [
            f"{item}: is not in the cache"
            for item, has in zip(items, there, strict=True)
            if not has
        ]
        found = self.cache.read(name for name, has in zip(names, there, strict=True) if has)
        return [item for item, has in zip(items, there, strict=True) if has], found

    def plain_products(self, together: int) -> Iterator[Read]:
        """See `Batches.plain_products`."""
        for some in batched(self.examples.products.values(), together):
            names = [self._product_name(product, 0) for product in some]
            yield self.cache.read_or_empty(names, self.model.network.towers.dim)


def _id(item: Item) -> str:
    return str(item.path) if isinstance(item, Photo) else item.clip_id


def silenced(tokens: Tokens, silent: Tensor) -> Tokens:
    """Without the words of the rows where `silent` (B,)."""
    heard = ~silent
    return replace(
        tokens,
        words=tokens.words * heard[:, None, None],
        word_mask=tokens.word_mask & heard[:, None],
        said=tokens.said * heard[:, None],
        has_words=tokens.has_words & heard,
    )


def without_frames(tokens: Tokens, stays: Tensor) -> Tokens:
    """Without the frames where not `stays` (B, T)."""
    return replace(
        tokens,
        whole=tokens.whole * stays[:, :, None],
        present=tokens.present & stays,
        patches=tokens.patches * stays[:, :, None, None],
        patch_mask=tokens.patch_mask & stays[:, :, None],
    )


def _span_kept(present: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """(B, T) bool: all but a random span of each row, of which some frame stays."""
    kept = torch.ones_like(present)
    for row, count in enumerate(present.sum(1).tolist()):
        length = min(int(rng.uniform(0, share) * count), count - 1)
        start = int(rng.integers(count - length + 1)) if length > 0 else 0
        kept[row, start : start + max(0, length)] = False
    return kept
