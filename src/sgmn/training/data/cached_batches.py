"""Batches of a run with frozen towers, read from the token cache instead of from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sgmn.batching import batched
from sgmn.data.dataset import Photo
from sgmn.errors import MediaError
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.model.tokens import ItemTokens
from sgmn.product_text import build_product_text
from sgmn.records import Clip, Product
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batches import Batches, ClipKeys, NetworkInput
from sgmn.training.data.dropped_frames import sample_dropped_frames
from sgmn.training.data.example_loader import LoadedClip
from sgmn.training.data.examples import Examples, Key
from sgmn.training.data.grounding_labels import GroundingLabels, measure_patch_grids
from sgmn.training.data.token_cache import (
    CachedEntry,
    TokenCache,
    hash_file,
    hash_towers,
    to_float32,
    trim_padding,
)
from sgmn.training.data.token_edits import (
    remove_frames,
    remove_text,
    replace_text,
    without_images,
)
from sgmn.training.distributed import local_share, wait_for_all

Item = Clip | Photo
T = TypeVar("T")
KEYS_NOT_CACHED = (  # keys of DataConfig that do not change the content of an entry
    "folders",
    "split",
    "clip_repeats",
    "product_images_as_photos",
    "single_shop_batches",
    "twin_group",
    "extra_negatives",
    "counterfactual_prob",
    "cached_variants",
    "product_text",
)

LABEL_FIELDS = ("visible_span", "shown", "held_instead")  # of `Clip.extra`


class CachedBatches(Batches):
    """Batches from a cache that holds `cached_variants` augmented versions of each example.

    The variant, dropped frames, and missing transcripts and titles are drawn anew for each batch.
    A clip that shows another product has a second entry: the text and the labels of its
    counterfactual, see `ExampleLoader.load_variants`. If the model takes second glances, a third
    entry has those that guidance directs without the transcript.
    """

    reads_files = False

    def __init__(
        self,
        examples: Examples,
        model: ModelBundle,
        data: DataConfig,
        train: TrainConfig,
        folder: Path,
    ) -> None:
        super().__init__(examples, model.preprocessor, data, train, model.network.max_side)
        self.model, self.cache = model, TokenCache(folder, hash_towers(model))
        self._embedder = Embedder(model)
        files = (*data.talking_points, *([data.phrases] if data.phrases else []))
        self._text_hashes = [hash_file(path) for path in files]
        self._grids = measure_patch_grids(model.network)

    @staticmethod
    def _loader_settings(train: TrainConfig) -> TrainConfig:
        """Cache entries are complete; batches drop transcripts, titles and frames later."""
        return replace(
            train,
            drop_transcript_prob=0.0,
            drop_title_prob=0.0,
            drop_tail_prob=0.0,
            max_dropped_frames_fraction=0.0,
        )

    def fill(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
        """Encode the missing entries; return one line for each example that cannot be read.

        With several processes, each encodes its share and waits for the others.
        """
        entries = local_share(tuple(dict(self._entries()).items()))
        errors: list[str] = []
        for done, (name, write) in enumerate(entries, start=1):
            if not self.cache.entry_path(name).exists():
                try:
                    write()
                except MediaError as error:
                    errors.append(str(error))
            progress(done, len(entries))
        wait_for_all()
        return errors

    def _entries(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the name of each entry and a function that writes it."""
        for variant in range(self.data.cached_variants):
            for item in self.examples.items:
                yield self.clip_entry(item, variant), partial(self._write_clip, item, variant)
            for product in self.examples.products.values():
                name = self._product_entry(product, variant)
                yield name, partial(self._write_product, product, variant)

    def load_variants(self, item: Item, variant: int) -> list[LoadedClip]:
        """Load what a variant of an example is encoded from: the clip and its counterfactual."""
        rng = np.random.default_rng((3, variant, crc32(_item_id(item).encode())))
        return self.loader.load_variants(item, self.data.clutter_prob, 1.0, rng)

    def _write_clip(self, item: Item, variant: int) -> None:
        clips = self.load_variants(item, variant)
        frames = self._embedder.encode_frames(clips[0].content.frames)
        tokens = self._build_clip_tokens(frames, clips[0].content.text)
        labels = self.build_labels(clips, self._grids).crop(*tokens.patch_mask.shape[1:])
        name = self.clip_entry(item, variant)
        if len(clips) > 1:  # first, so that it exists if the clip's own entry does
            other = without_images(self._build_clip_tokens(frames, clips[1].content.text))
            self.cache.write(counterfactual_entry(name), other, labels[1:], clips[1].keys[0])
        if self._looks_twice:
            self.cache.write(
                silent_entry(name), without_images(self._build_clip_tokens(frames, ""))
            )
        self.cache.write(name, tokens, labels[:1])

    @property
    def _looks_twice(self) -> bool:
        return self.model.network.parts.glance is not None

    def _build_clip_tokens(self, frames: EncodedFrames, text: str) -> ItemTokens:
        return trim_padding(self._embedder.build_clip_tokens([frames], [text]))

    def _write_product(self, product: Product, variant: int) -> None:
        if variant:
            rng = np.random.default_rng((4, variant, crc32(repr(product.key).encode())))
            content = self.loader.load_product(product, rng)
        else:
            content = self.loader.load_plain_product(product)
        inputs = self.preprocessor.prepare_products([content])
        with torch.inference_mode():
            tokens = self.model.network.eval().encode_product_tokens(inputs).to("cpu")
        self.cache.write(self._product_entry(product, variant), trim_padding(tokens))

    def clip_entry(self, item: Item, variant: int) -> str:
        """Return the name of the cache entry of a clip or photo."""
        augmentation = (variant, _item_id(item), self.train.color_jitter, self.train.drop_word_prob)
        data = self._cached_settings
        if isinstance(item, Photo):  # composed with photos of all other examples
            count = len(self.examples.items)
            facts = ("photo", augmentation, data, self._text_hashes, count)
            return self.cache.entry_name([item.path], *facts)
        files = [item.video] if item.video else item.frames
        labels = item.product_ids, item.boxes, [item.extra.get(k) for k in LABEL_FIELDS]
        return self.cache.entry_name(
            files, "clip", item.start, item.end, item.text, augmentation, data, labels
        )

    @cached_property
    def _cached_settings(self) -> list[tuple[str, Any]]:
        settings = asdict(self.data).items()
        return sorted((key, value) for key, value in settings if key not in KEYS_NOT_CACHED)

    def _product_entry(self, product: Product, variant: int) -> str:
        augmentation = (variant, repr(product.key), self.train.color_jitter) if variant else ()
        text = build_product_text(product, self.data.product_text)
        return self.cache.entry_name(product.image_paths, "product", text, augmentation)

    def _load_clips(
        self, items: Sequence[Item], index: int, rng: np.random.Generator, errors: list[str]
    ) -> tuple[list[ClipKeys], NetworkInput, GroundingLabels | None]:
        """See `Batches._load_clips`."""
        names = [self.clip_entry(i, int(rng.integers(self.data.cached_variants))) for i in items]
        cached, names = self._present(items, names, errors)
        entries = [self.cache.read(name) for name in names]
        mask = pad_sequence([entry.tokens.image_mask[0] for entry in entries], batch_first=True)
        silent = torch.from_numpy(rng.random(len(cached)) < self.train.drop_transcript_prob)
        kept = _sample_kept_frames(mask, self.train, rng)
        keys = [tuple(self.examples.product_keys(item)) for item in cached]
        targets = list(keys)
        if self.data.counterfactual_prob:
            drawn = rng.random(len(cached)) < self.data.counterfactual_prob
            for row in np.flatnonzero(drawn).tolist():
                other = self._read_counterfactual(names[row], entries[row])
                if other is not None and other.key is not None:
                    entries[row], targets[row], silent[row] = other, (other.key,), False
        if self._looks_twice:  # without words, guidance looks elsewhere
            for row in silent.nonzero().flatten().tolist():
                other = self.cache.read(silent_entry(names[row]))
                own = replace_text(entries[row].tokens, other.tokens)
                entries[row] = entries[row]._replace(tokens=own)
        tokens = to_float32(ItemTokens.cat(entry.tokens for entry in entries))
        tokens = remove_text(remove_frames(tokens, ~kept), silent)
        labels = None
        if self.patch_grids is not None:
            labels = GroundingLabels.cat(entry.labels for entry in entries)
        return [ClipKeys(*pair) for pair in zip(targets, keys, strict=True)], tokens, labels

    def _read_counterfactual(self, name: str, entry: CachedEntry) -> CachedEntry | None:
        """Return an entry with the text, labels and product of its counterfactual, if it has one.

        The product may have been removed from the examples since.
        """
        name = counterfactual_entry(name)
        if not self.cache.entry_path(name).exists():
            return None
        other = self.cache.read(name)
        if other.key not in self.examples.products:
            return None
        return other._replace(tokens=replace_text(entry.tokens, other.tokens))

    def _load_products(
        self, keys: Sequence[Key], rng: np.random.Generator, errors: list[str]
    ) -> tuple[list[Key], NetworkInput]:
        """See `Batches._load_products`."""
        products = [self.examples.products[key] for key in keys]
        variants = [int(rng.integers(self.data.cached_variants)) for _ in products]
        names = [self._product_entry(p, v) for p, v in zip(products, variants, strict=True)]
        cached, names = self._present(keys, names, errors)
        tokens = self.cache.read_tokens(names)
        silent = torch.from_numpy(rng.random(len(cached)) < self.train.drop_title_prob)
        return cached, remove_text(tokens, silent & tokens.image_mask.any(1))

    def _present(
        self, items: Sequence[T], names: Sequence[str], errors: list[str]
    ) -> tuple[list[T], list[str]]:
        """Return the items whose entry exists, and the entries; the rest is added to `errors`."""
        cached, present = [], []
        for item, name in zip(items, names, strict=True):
            if self.cache.entry_path(name).exists():
                cached.append(item)
                present.append(name)
            else:
                errors.append(f"{item}: not in the token cache")
        return cached, present

    def iter_products(self, batch_size: int) -> Iterator[NetworkInput]:
        """See `Batches.iter_products`."""
        for products in batched(self.examples.products.values(), batch_size):
            names = [self._product_entry(product, 0) for product in products]
            yield self.cache.read_or_empty(names, self.model.network.towers.dim)


def _item_id(item: Item) -> str:
    return str(item.path) if isinstance(item, Photo) else item.clip_id


def counterfactual_entry(name: str) -> str:
    """Return the name of the entry with the counterfactual of a clip's entry."""
    return f"{name}-counterfactual"


def silent_entry(name: str) -> str:
    """Return the name of the entry with the second glances at a clip without its transcript."""
    return f"{name}-silent"


def _sample_kept_frames(image_mask: Tensor, train: TrainConfig, rng: np.random.Generator) -> Tensor:
    """Draw which frames stay (B, T) bool, see `sample_dropped_frames`."""
    kept = torch.ones_like(image_mask)
    for row, count in enumerate(image_mask.sum(1).tolist()):
        dropped = sample_dropped_frames(count, train, rng)
        kept[row, dropped.start : dropped.stop] = False
    return kept
