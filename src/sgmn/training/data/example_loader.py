"""What a labelled clip, photo or product shows and says to a learner: decoded and worn.

An example is a labelled clip, or a labelled photo, whose clip is several photos of the same
product as frames. Everything random comes from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgmn.data.dataset import Photo
from sgmn.media import clips, image
from sgmn.media.clips import Frame
from sgmn.records import Clip, ClipContent, Picture, Product, ProductContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import boxes, synthetic_transcripts
from sgmn.training.data.boxes import Boxes
from sgmn.training.data.composition import HELD_WIDTH, Scene, askew, blurred, cropped, elsewhere
from sgmn.training.data.degradation import Wear, compressed, lit, some_light
from sgmn.training.data.examples import Examples, Key, keys
from sgmn.training.data.phrases import phrases

MOST_FRAMES = 64  # of a clip that a run chooses from
QUALITY = (10, 85)  # of JPEG
ELSEWHERE = 0.5  # how often a photo has the surroundings of another
ALTERNATELY = 0.5  # how often it is more than one other product that is held up instead
TRIES = 8  # to find an item that sells something else


class Boxed(NamedTuple):
    """A clip with the boxes of each of its frames; none at all where it has no labels."""

    content: ClipContent
    boxes: tuple[Boxes, ...] = ()


class Contents:
    """Makes contents of at most `max_side` pixels from the files of some examples."""

    def __init__(
        self, examples: Examples, data: DataConfig, train: TrainConfig, max_side: int
    ) -> None:
        self.examples, self.data, self.train, self.max_side = examples, data, train, max_side
        self.sayings = synthetic_transcripts.sayings(data.sayings, examples.products)
        self.phrases = phrases(data.phrases)

    def product(self, product: Product, rng: np.random.Generator) -> ProductContent:
        """One of the product's views, slightly cropped and lit, and its title most of the time."""
        views = product.pictures if self.data.frames else ()
        chosen = [views[int(rng.integers(len(views)))]] if views else []
        jitter = self.train.jitter / 2
        shown = tuple(
            lit(cropped(self._picture(path), 0.8, rng), some_light(jitter, rng)) for path in chosen
        )
        silent = bool(shown) and rng.random() < self.train.drop_title
        return ProductContent(shown, "" if silent else product.title)

    def plain_product(self, product: Product) -> ProductContent:
        """The main view as it is, and the title."""
        shown = tuple(self._picture(path) for path in product.pictures[:1])
        return ProductContent(shown, product.title)

    def clip(self, item: Clip | Photo, clutter: float, rng: np.random.Generator) -> ClipContent:
        """A clip as it is, or composed of photos; `clutter` is the share that is composed.

        Without pictures where the config wants no frames, as products are then.
        """
        return self._clip(item, clutter, rng)[0]

    def boxed(self, item: Clip | Photo, clutter: float, rng: np.random.Generator) -> Boxed:
        """The clip that `clip` would make, with its boxes; what is made of photos has none."""
        found, times = self._clip(item, clutter, rng)
        if isinstance(item, Photo):
            return Boxed(found)
        return Boxed(found, boxes.at_times(item, times, self.data.rate_hz))

    def _clip(
        self, item: Clip | Photo, clutter: float, rng: np.random.Generator
    ) -> tuple[ClipContent, tuple[float, ...]]:
        """A clip, and when each of its frames was, in seconds; photos have no time."""
        times: tuple[float, ...] = ()
        if isinstance(item, Photo):
            beside = self._others(keys(item)[0], rng)
            shown = self._of_photos(item, beside, clutter, rng) if self.data.frames else ()
        else:
            beside = []
            shown, times = self._of_video(item, rng) if self.data.frames else ((), ())
        return ClipContent(shown, self._words(item, beside, rng)), times

    def _words(self, item: Clip | Photo, beside: Sequence[Key], rng: np.random.Generator) -> str:
        """What is said: of the item, now and then of another one of its shop, or nothing."""
        luck = rng.random()
        if luck < self.train.drop_transcript:
            return ""
        wrong = luck < self.train.drop_transcript + self.train.wrong_transcript
        of = self._another(item, rng) if wrong else item
        said = self._made_up(keys(of)[0], beside, rng) if isinstance(of, Photo) else of.words
        return synthetic_transcripts.worn(said, self.train.drop_word, rng)

    def _made_up(self, key: Key, beside: Sequence[Key], rng: np.random.Generator) -> str:
        """What may be said of a product, with others of the clip to be named."""
        known = [self.examples.products[other] for other in beside if other != key]
        others = [other for other in known if other.title]
        told = self.sayings.get(key, ())
        sold = self.examples.products[key]
        return synthetic_transcripts.transcript(sold, others, told, rng, self.phrases)

    def _another(self, item: Clip | Photo, rng: np.random.Generator) -> Clip | Photo:
        """An item of the shop that sells nothing of what the item sells, if a few tries find it."""
        items, sold = self.examples.of_shop[item.shop_id], set(self.examples.sold(item))
        drawn = (items[int(place)] for place in rng.integers(len(items), size=TRIES))
        return next((some for some in drawn if sold.isdisjoint(self.examples.sold(some))), item)

    def _of_video(
        self, clip: Clip, rng: np.random.Generator
    ) -> tuple[tuple[Picture, ...], tuple[float, ...]]:
        every = _film(clip, self.data.rate_hz, self.max_side)
        places, wear = segments(len(every), self.data.frames, rng), Wear.of(self.train, rng)
        frames = [Frame(every[place].time_s, wear.on(every[place].rgb, rng)) for place in places]
        kept = _span_dropped(frames, self.train.drop_frames, rng)
        return tuple(f.rgb for f in kept), tuple(f.time_s for f in kept)

    def _of_photos(
        self, photo: Photo, beside: Sequence[Key], clutter: float, rng: np.random.Generator
    ) -> tuple[Picture, ...]:
        same = self.examples.photos[keys(photo)[0]]
        more = [same[i] for i in rng.integers(len(same), size=self.data.frames - 1)]
        shown = [self._photo(p, rng) for p in (photo, *more)]
        if beside and rng.random() < clutter:
            shown = self._composed(shown, beside, rng)
        else:
            shown = [cropped(view, 0.5, rng) for view in shown]
        wear = Wear.of(self.train, rng)
        return tuple(_sent(wear.on(view, rng), rng) for view in shown)

    def _composed(
        self, shown: Sequence[Picture], beside: Sequence[Key], rng: np.random.Generator
    ) -> list[Picture]:
        """A stream that holds the product up, and part of the time one or more of the others."""
        others = [self._photo_of(key, rng) for key in beside]
        scene = Scene.of(others[0], others[1:], self.max_side, rng)
        count = len(shown)
        # At random up or down, so that few frames are as often without the product as many.
        absent = min(count - 1, int(rng.uniform(0, self.data.other_frames) * count + rng.random()))
        first = int(rng.integers(count + 1))
        away = [(first + step) % count for step in range(absent)]
        held = list(shown)
        for place, other in zip(away, self._turns(others[1:] or others, absent, rng), strict=True):
            held[place] = other
        scale = rng.uniform(*HELD_WIDTH)
        sizes = np.clip(scale * np.exp(rng.normal(0, 0.15, count)), *HELD_WIDTH)
        return [scene.holding(one, size, rng) for one, size in zip(held, sizes, strict=True)]

    @staticmethod
    def _turns(others: list[Picture], count: int, rng: np.random.Generator) -> list[Picture]:
        """Who is held up instead: one, or one after the other for a while: `count` pictures."""
        several = len(others) if rng.random() < ALTERNATELY else 1
        turns = np.sort(rng.integers(several, size=count))
        return [others[turn] for turn in rng.permutation(len(others))[turns]]

    def _others(self, key: Key, rng: np.random.Generator) -> list[Key]:
        """Other products of the shop with photos: the first for the store behind."""
        known = self.examples.pictured[key[0]]
        count = 1 + int(rng.integers(self.data.distractors + 1))
        drawn = rng.choice(len(known), size=min(len(known), count + 1), replace=False)
        return [known[i] for i in drawn if known[i] != key][:count]

    def _photo_of(self, key: Key, rng: np.random.Generator) -> Picture:
        return self._photo(self._any_of(key, rng), rng)

    def _any_of(self, key: Key, rng: np.random.Generator) -> Photo:
        photos = self.examples.photos[key]
        return photos[int(rng.integers(len(photos)))]

    def _photo(self, photo: Photo, rng: np.random.Generator) -> Picture:
        """What a photo shows, as from another place and half the time in another one.

        A shop's own picture shows nothing around the product that could be learnt instead of it.
        """
        seen, known = self._picture(photo.path), self.examples.pictured[photo.shop_id]
        if rng.random() < ELSEWHERE and not self.examples.is_view(photo):
            other = self._any_of(known[int(rng.integers(len(known)))], rng)
            seen = elsewhere(seen, self._picture(other.path), rng)
        return askew(seen, rng)

    def _picture(self, path: Path) -> Picture:
        return _read(path, self.max_side)


def _sent(seen: Picture, rng: np.random.Generator) -> Picture:
    """A frame as it arrives: now and then out of focus, half the time compressed."""
    seen = blurred(seen, rng.uniform(0.4, 1.0)) if rng.random() < 0.3 else seen
    return compressed(seen, int(rng.integers(*QUALITY))) if rng.random() < 0.5 else seen


@lru_cache(maxsize=8192)  # a picture of 256 x 192 takes 147 kB: 1.2 GB at most
def _read(path: Path, max_side: int) -> Picture:
    return image.read(path, max_side)


@lru_cache(maxsize=1024)  # 64 frames of 256 x 144 take 7 MB, the usual ten of them 1.1
def _film(clip: Clip, rate_hz: float, max_side: int) -> tuple[Frame, ...]:
    return clips.timed_clip_frames(clip, MOST_FRAMES, rate_hz, max_side)


def segments(count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """One place in each of `wanted` equal parts of `count`, at random (Wang et al. 2016)."""
    if count <= wanted:
        return list(range(count))
    edges = np.linspace(0, count, wanted + 1)
    return [int(place) for place in rng.uniform(edges[:-1], edges[1:])]


def _span_dropped(frames: list[Frame], share: float, rng: np.random.Generator) -> list[Frame]:
    """The frames without a random span of them, wherever it lies; at least one stays."""
    length = int(rng.uniform(0, share) * len(frames))
    start = int(rng.integers(len(frames) - length + 1))
    return frames[:start] + frames[start + length :] or frames[:1]
