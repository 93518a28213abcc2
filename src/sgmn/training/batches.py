"""Batches of clips and products, each a pure function of the seed and the step.

So a run that resumes at step k sees what an uninterrupted one would have seen. An example is a
labelled clip, or a labelled photo, whose clip is several photos of the same product as frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from sgmn.data.dataset import Dataset, Photo
from sgmn.errors import MediaError, RecordError
from sgmn.media import content, picture
from sgmn.model.inputs import Inputs, Preparation
from sgmn.records import Clip, ClipContent, Picture, Product, ProductContent
from sgmn.training import speech
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.scene import HELD_WIDTH, Scene, blurred, cropped, lit, some_light

Key = tuple[str, str]  # shop_id, product_id
T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True)
class Batch:
    """Clips and products for the network; positive (B, S) bool: which product each clip sells.

    `damage` names what could not be read and was left out, a line each.
    """

    clips: Inputs
    products: Inputs
    positive: Tensor
    damage: tuple[str, ...] = ()


class Examples:
    """All that can be learnt from in some datasets: clips and photos whose product is listed.

    Clips of another split than `split` are left out; "" keeps all.
    """

    def __init__(self, datasets: Sequence[Dataset], split: str = "") -> None:
        self.products: dict[Key, Product] = {p.key: p for d in datasets for p in d.products}
        every = [clip for d in datasets for clip in d.clips]
        clips = [clip for clip in every if not split or clip.split in ("", split)]
        self.other_splits = len(every) - len(clips)
        photos = [photo for d in datasets for photo in d.photos]
        labelled: list[Clip | Photo] = [*clips, *photos]
        self.items = [item for item in labelled if any(k in self.products for k in keys(item))]
        self.left_out = len(clips) + len(photos) - len(self.items)
        self.photos: dict[Key, list[Photo]] = defaultdict(list)
        self.shops: dict[str, list[Key]] = defaultdict(list)
        self.pictured: dict[str, list[Key]] = defaultdict(list)  # those of a shop with photos
        for photo in photos:
            self.photos[photo.shop_id, photo.product_id].append(photo)
        for key in self.products:
            self.shops[key[0]].append(key)
            if key in self.photos:
                self.pictured[key[0]].append(key)
        if not self.items:
            raise RecordError(
                "nothing to learn from: no clip or photo of a listed product",
                where=", ".join(str(d.root) for d in datasets),
                remedy="name folders whose clips.jsonl or photos.jsonl fit their products.jsonl",
            )

    def summary(self) -> str:
        """What there is to learn from, in a line."""
        return (
            f"{len(self.items)} examples of {len(self.products)} products"
            f" ({self.left_out} of products that no products.jsonl lists,"
            f" {self.other_splits} of other splits)"
        )


def keys(item: Clip | Photo) -> list[Key]:
    """The products that a clip or photo is labelled with."""
    ids = item.product_ids if isinstance(item, Clip) else (item.product_id,)
    return [(item.shop_id, product_id) for product_id in ids]


class Batches(TorchDataset[Batch]):
    """Batch number k of a run, for k in 0..steps·accumulate - 1."""

    def __init__(
        self, examples: Examples, prepare: Preparation, data: DataConfig, train: TrainConfig
    ) -> None:
        self.examples, self.prepare, self.data, self.train = examples, prepare, data, train
        self.max_side = max(max(canvas) for canvas in prepare.canvases)

    def __len__(self) -> int:
        return self.train.steps * self.train.accumulate

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng((self.train.seed, 1, index))
        clutter = self.data.clutter * self._risen(index)
        items, damage = self._drawn(index), list[str]()
        clips = self._readable(items, lambda item: self._clip(item, clutter, rng), damage)
        listed = self._listed([item for item, _ in clips], rng)
        products = self._readable(
            listed, lambda key: self._product(self.examples.products[key], rng), damage
        )
        if not clips or not products:
            raise MediaError("nothing of a batch can be read", damage[0], "mend the dataset")
        positive = [[key in keys(item) for key, _ in products] for item, _ in clips]
        return Batch(
            self.prepare.clips([content for _, content in clips]),
            self.prepare.products([content for _, content in products]),
            torch.tensor(positive),
            tuple(damage),
        )

    def signature(self) -> str:
        """What decides the batches: the configs and how many examples there are."""
        return f"{self.data} {self.train} {len(self.examples.items)} examples"

    def _readable(
        self, items: Sequence[T], read: Callable[[T], C], damage: list[str]
    ) -> list[tuple[T, C]]:
        """The items with their contents; those that cannot be read go into `damage`."""
        found = []
        for item in items:
            try:
                found.append((item, read(item)))
            except MediaError as error:
                damage.append(str(error))
        return found

    def _drawn(self, index: int) -> list[Clip | Photo]:
        """The examples of a batch: each epoch is a shuffle of all."""
        first = index * self.train.batch
        count = len(self.examples.items)
        places = [divmod(place, count) for place in range(first, first + self.train.batch)]
        return [self.examples.items[_shuffle(count, self.train.seed, e)[i]] for e, i in places]

    def _listed(self, items: Sequence[Clip | Photo], rng: np.random.Generator) -> list[Key]:
        """The products of the batch once each, and some more of the same shops."""
        known = self.examples.products
        listed = dict.fromkeys(key for item in items for key in keys(item) if key in known)
        shops = sorted({key[0] for key in listed})
        if self.data.negatives:
            others = [k for shop in shops for k in self.examples.shops[shop] if k not in listed]
            more = rng.permutation(len(others))[: self.data.negatives]
            return [*listed, *(others[i] for i in more)]
        return list(listed)

    def _product(self, product: Product, rng: np.random.Generator) -> ProductContent:
        views = product.pictures
        chosen = [views[int(rng.integers(len(views)))]] if views else []
        jitter = self.train.jitter / 2
        shown = tuple(
            lit(cropped(self._picture(path), 0.8, rng), some_light(jitter, rng)) for path in chosen
        )
        silent = bool(shown) and rng.random() < self.train.drop_title
        return ProductContent(shown, "" if silent else product.title)

    def _risen(self, index: int) -> float:
        """How much of the clutter there is by now, 0..1."""
        ramp = self.data.clutter_ramp * len(self)
        return 1.0 if index >= ramp else index / ramp

    def _clip(self, item: Clip | Photo, clutter: float, rng: np.random.Generator) -> ClipContent:
        if isinstance(item, Photo):
            found = self._of_photos(item, clutter, rng)
        else:
            found = self._of_video(item, rng)
        silent = rng.random() < self.train.drop_transcript
        return ClipContent(found.frames, "" if silent else found.words)

    def _of_video(self, clip: Clip, rng: np.random.Generator) -> ClipContent:
        found = content.clip_content(
            clip, wanted=self.data.frames, rate_hz=self.data.rate_hz, max_side=self.max_side
        )
        light = some_light(self.train.jitter, rng)
        frames = [lit(frame, light) for frame in found.frames]
        words = speech.worn(found.words, self.train.drop_word, rng)
        return ClipContent(tuple(_span_dropped(frames, self.train.drop_frames, rng)), words)

    def _of_photos(self, photo: Photo, clutter: float, rng: np.random.Generator) -> ClipContent:
        key = (photo.shop_id, photo.product_id)
        beside = self._others(key, rng)
        same = self.examples.photos[key]
        more = [same[i] for i in rng.integers(len(same), size=self.data.frames - 1)]
        shown = [self._picture(p.path) for p in (photo, *more)]
        if beside and rng.random() < clutter:
            shown = self._composed(shown, beside, rng)
        else:
            shown = [cropped(view, 0.5, rng) for view in shown]
        light = some_light(self.train.jitter, rng)
        frames = [self._worn(view, light, rng) for view in shown]
        said = speech.transcript(
            self.examples.products[key], [self.examples.products[k] for k in beside], rng
        )
        return ClipContent(tuple(frames), speech.worn(said, self.train.drop_word, rng))

    def _worn(self, view: Picture, light: NDArray[np.float64], rng: np.random.Generator) -> Picture:
        seen = lit(view, light)
        return blurred(seen, rng.uniform(0.4, 1.0)) if rng.random() < 0.3 else seen

    def _composed(
        self, shown: Sequence[Picture], beside: Sequence[Key], rng: np.random.Generator
    ) -> list[Picture]:
        """A stream that holds the product up, and part of the time one of the others."""
        others = [self._photo_of(key, rng) for key in beside]
        scene = Scene.of(others[0], others[1:], rng)
        scale = rng.uniform(*HELD_WIDTH)
        absent = int(rng.uniform(0, self.data.other_frames) * len(shown))
        first = int(rng.integers(len(shown) + 1))
        away = {(first + step) % len(shown) for step in range(absent)}
        instead = others[-1]
        return [
            scene.holding(instead if place in away else view, scale, rng)
            for place, view in enumerate(shown)
        ]

    def _others(self, key: Key, rng: np.random.Generator) -> list[Key]:
        """Other products of the shop with photos: the first for the store behind."""
        known = self.examples.pictured[key[0]]
        count = 1 + int(rng.integers(self.data.distractors + 1))
        drawn = rng.choice(len(known), size=min(len(known), count + 1), replace=False)
        return [known[i] for i in drawn if known[i] != key][:count]

    def _photo_of(self, key: Key, rng: np.random.Generator) -> Picture:
        photos = self.examples.photos[key]
        return self._picture(photos[int(rng.integers(len(photos)))].path)

    def _picture(self, path: Path) -> Picture:
        return _read(path, self.max_side)


@lru_cache(maxsize=8192)  # a picture of 160 x 160 takes 77 kB: 0.6 GB at most
def _read(path: Path, max_side: int) -> Picture:
    return picture.read(path, max_side)


@lru_cache(maxsize=4)
def _shuffle(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def _span_dropped(frames: list[Picture], share: float, rng: np.random.Generator) -> list[Picture]:
    """The frames without a random span of them, wherever it lies; at least one stays."""
    length = int(rng.uniform(0, share) * len(frames))
    start = int(rng.integers(len(frames) - length + 1))
    return frames[:start] + frames[start + length :] or frames[:1]
