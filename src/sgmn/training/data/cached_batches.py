"""Batches of a run with frozen towers, read from the token cache instead of from files."""

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
from sgmn.model.inputs import ItemInputs
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip, Product
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batches import Batches, NetworkInput
from sgmn.training.data.examples import Examples, Key
from sgmn.training.data.token_cache import TokenCache, hash_file, hash_towers

Item = Clip | Photo
T = TypeVar("T")
KEYS_NOT_CACHED = (  # keys of DataConfig that do not change the content of an entry
    "folders",
    "split",
    "clip_repeats",
    "product_images_as_photos",
    "single_shop_batches",
    "extra_negatives",
    "cached_variants",
)


class CachedBatches(Batches):
    """Batches from a cache that holds `cached_variants` augmented versions of each example.

    The variant, dropped frames, and missing transcripts and titles are drawn anew for each batch.
    """

    reads_files = False

    def __init__(
        self, examples: Examples, model: Model, data: DataConfig, train: TrainConfig, folder: Path
    ) -> None:
        super().__init__(examples, model.preprocessor, data, train)
        self.model, self.cache = model, TokenCache(folder, hash_towers(model))
        files = (*data.talking_points, *([data.phrases] if data.phrases else []))
        self._text_hashes = [hash_file(path) for path in files]

    @staticmethod
    def _loader_settings(train: TrainConfig) -> TrainConfig:
        """Cache entries are complete; batches drop transcripts, titles and frames later."""
        return replace(
            train, drop_transcript_prob=0.0, drop_title_prob=0.0, max_dropped_frames_fraction=0.0
        )

    def fill(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
        """Encode the missing entries; return one line for each example that cannot be read."""
        items, products = self.examples.items, self.examples.products
        total = (len(items) + len(products)) * self.data.cached_variants
        errors: list[str] = []
        for done, (name, load) in enumerate(self._entries(), start=1):
            if not self.cache.entry_path(name).exists():
                self._encode(name, load, errors)
            progress(done, total)
        return errors

    def _entries(self) -> Iterator[tuple[str, Callable[[], ItemInputs]]]:
        """Yield the name of each entry and a function that loads its inputs."""
        for variant in range(self.data.cached_variants):
            for item in self.examples.items:
                yield self.clip_entry(item, variant), partial(self._load_variant, item, variant)
            for product in self.examples.products.values():
                name = self._product_entry(product, variant)
                yield name, partial(self._load_product_variant, product, variant)

    def _encode(self, name: str, load: Callable[[], ItemInputs], errors: list[str]) -> None:
        try:
            inputs = load()
        except MediaError as error:
            errors.append(str(error))
            return
        network = self.model.network.eval()
        with torch.inference_mode():
            self.cache.write([name], network.encode_tokens(inputs).to("cpu"))

    def _load_variant(self, item: Item, variant: int) -> ItemInputs:
        rng = np.random.default_rng((3, variant, crc32(_item_id(item).encode())))
        clip = self.loader.load_clip(item, self.data.clutter_prob, rng)
        return self.preprocessor.prepare_clips([clip])

    def _load_product_variant(self, product: Product, variant: int) -> ItemInputs:
        if not variant:
            return self.preprocessor.prepare_products([self.loader.load_plain_product(product)])
        rng = np.random.default_rng((4, variant, crc32(repr(product.key).encode())))
        return self.preprocessor.prepare_products([self.loader.load_product(product, rng)])

    def clip_entry(self, item: Item, variant: int) -> str:
        """Return the name of the cache entry of a clip or photo."""
        augmentation = (variant, _item_id(item), self.train.color_jitter, self.train.drop_word_prob)
        data = sorted((k, v) for k, v in asdict(self.data).items() if k not in KEYS_NOT_CACHED)
        if isinstance(item, Photo):  # composed with photos of all other examples
            count = len(self.examples.items)
            facts = ("photo", augmentation, data, self._text_hashes, count)
            return self.cache.entry_name([item.path], *facts)
        files = [item.video] if item.video else item.frames
        return self.cache.entry_name(
            files, "clip", item.start, item.end, item.text, augmentation, data
        )

    def _product_entry(self, product: Product, variant: int) -> str:
        augmentation = (variant, repr(product.key), self.train.color_jitter) if variant else ()
        return self.cache.entry_name(product.image_paths, "product", product.title, augmentation)

    def _load_clips(
        self, items: Sequence[Item], index: int, rng: np.random.Generator, errors: list[str]
    ) -> tuple[list[Item], NetworkInput, None]:
        """See `Batches._load_clips`; cached clips have no boxes."""
        names = [self.clip_entry(i, int(rng.integers(self.data.cached_variants))) for i in items]
        cached, tokens = self._read(items, names, errors)
        silent = torch.from_numpy(rng.random(len(cached)) < self.train.drop_transcript_prob)
        max_fraction = self.train.max_dropped_frames_fraction
        kept = _sample_kept_frames(tokens.image_mask, max_fraction, rng)
        return cached, remove_text(remove_frames(tokens, ~kept), silent), None

    def _load_products(
        self, keys: Sequence[Key], rng: np.random.Generator, errors: list[str]
    ) -> tuple[list[Key], NetworkInput]:
        """See `Batches._load_products`."""
        products = [self.examples.products[key] for key in keys]
        variants = [int(rng.integers(self.data.cached_variants)) for _ in products]
        names = [self._product_entry(p, v) for p, v in zip(products, variants, strict=True)]
        cached, tokens = self._read(keys, names, errors)
        silent = torch.from_numpy(rng.random(len(cached)) < self.train.drop_title_prob)
        return cached, remove_text(tokens, silent & tokens.image_mask.any(1))

    def _read(
        self, items: Sequence[T], names: Sequence[str], errors: list[str]
    ) -> tuple[list[T], ItemTokens]:
        """Read the entries that exist; items that could not be encoded are added to `errors`."""
        cached, present = [], []
        for item, name in zip(items, names, strict=True):
            if self.cache.entry_path(name).exists():
                cached.append(item)
                present.append(name)
            else:
                errors.append(f"{item}: not in the token cache")
        return cached, self.cache.read(present)

    def iter_products(self, batch_size: int) -> Iterator[NetworkInput]:
        """See `Batches.iter_products`."""
        for products in batched(self.examples.products.values(), batch_size):
            names = [self._product_entry(product, 0) for product in products]
            yield self.cache.read_or_empty(names, self.model.network.towers.dim)


def _item_id(item: Item) -> str:
    return str(item.path) if isinstance(item, Photo) else item.clip_id


def remove_text(tokens: ItemTokens, rows: Tensor) -> ItemTokens:
    """Remove the text of some rows (B,) bool."""
    kept = ~rows
    return replace(
        tokens,
        words=tokens.words * kept[:, None, None],
        word_mask=tokens.word_mask & kept[:, None],
        text=tokens.text * kept[:, None],
        has_text=tokens.has_text & kept,
    )


def remove_frames(tokens: ItemTokens, frames: Tensor) -> ItemTokens:
    """Remove some frames (B, T) bool."""
    kept = ~frames
    return replace(
        tokens,
        images=tokens.images * kept[:, :, None],
        image_mask=tokens.image_mask & kept,
        patches=tokens.patches * kept[:, :, None, None],
        patch_mask=tokens.patch_mask & kept[:, :, None],
    )


def _sample_kept_frames(
    image_mask: Tensor, max_fraction: float, rng: np.random.Generator
) -> Tensor:
    """Draw which frames stay (B, T) bool: all but a random span of each row, at least one."""
    kept = torch.ones_like(image_mask)
    for row, count in enumerate(image_mask.sum(1).tolist()):
        length = min(int(rng.uniform(0, max_fraction) * count), count - 1)
        start = int(rng.integers(count - length + 1)) if length > 0 else 0
        kept[row, start : start + max(0, length)] = False
    return kept
