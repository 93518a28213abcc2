"""Composes the frames of a training clip from photos of a product."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgmn.data.dataset import Photo
from sgmn.media.image import read_image
from sgmn.records import Box, ImageArray
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.composition import (
    HELD_WIDTH,
    Scene,
    change_surroundings,
    random_crop,
    warp_perspective,
)
from sgmn.training.data.degradation import Degradation, degrade_transmission
from sgmn.training.data.examples import Examples, Key, labeled_keys

NEW_SURROUNDINGS_PROB = 0.5  # of a photo to get the surroundings of another one
SEVERAL_PRODUCTS_PROB = 0.5  # that more than one other product is held up instead


@lru_cache(maxsize=8192)  # an image of 256 x 192 takes 147 kB: 1.2 GB at most
def read_cached_image(path: Path, max_side: int) -> ImageArray:
    """Read an image of at most `max_side` pixels, from memory if it was read before."""
    return read_image(path, max_side)


class PhotoFrame(NamedTuple):
    """A frame made of a photo.

    Attributes:
        image: the frame.
        box: of the product that is held up; None if the photo is not part of a scene.
        other: the product that is held up instead of the clip's own, if any.
    """

    image: ImageArray
    box: Box | None = None
    other: Key | None = None


class PhotoClips:
    """Composes clips from the photos of some examples, at most `max_side` pixels high."""

    def __init__(
        self, examples: Examples, data: DataConfig, train: TrainConfig, max_side: int
    ) -> None:
        self.examples, self.data, self.train, self.max_side = examples, data, train, max_side

    def frames(
        self, photo: Photo, others: Sequence[Key], clutter_prob: float, rng: np.random.Generator
    ) -> tuple[PhotoFrame, ...]:
        """Return the frames of a clip: this photo and random photos of the same product.

        Args:
            photo: a labeled photo.
            others: other products, see `sample_others`.
            clutter_prob: probability that the frames are composed into a cluttered stream.
            rng: source of all random choices.
        """
        same = self.examples.photos_by_product[labeled_keys(photo)[0]]
        count = self.data.frames_per_clip - 1
        more = [same[i] for i in rng.integers(len(same), size=count)]
        photos = [self.load_photo(p, rng) for p in (photo, *more)]
        if others and rng.random() < clutter_prob:
            frames = self.compose(photos, others, rng)
        else:
            frames = [PhotoFrame(random_crop(image, 0.5, rng)) for image in photos]
        degradation = Degradation.sample(self.train, rng)
        return tuple(
            frame._replace(image=degrade_transmission(degradation.apply(frame.image, rng), rng))
            for frame in frames
        )

    def sample_others(self, key: Key, rng: np.random.Generator) -> list[Key]:
        """Draw other products of the shop that have photos; the first is for the background."""
        keys = self.examples.photographed_by_shop[key[0]]
        count = 1 + int(rng.integers(self.data.max_distractors + 1))
        drawn = rng.choice(len(keys), size=min(len(keys), count + 1), replace=False)
        return [keys[i] for i in drawn if keys[i] != key][:count]

    def compose(
        self, photos: Sequence[ImageArray], others: Sequence[Key], rng: np.random.Generator
    ) -> list[PhotoFrame]:
        """Compose a stream that holds up the product, and in some frames other products."""
        other_photos = [
            PhotoFrame(self.load_photo(self._any_photo(key, rng), rng), other=key) for key in others
        ]
        distractors = [photo.image for photo in other_photos[1:]]
        scene = Scene.compose(other_photos[0].image, distractors, self.max_side, rng)
        own = [PhotoFrame(image) for image in photos]
        held = self._replace_some(own, other_photos[1:] or other_photos, rng)
        width = rng.uniform(*HELD_WIDTH)
        widths = np.clip(width * np.exp(rng.normal(0, 0.15, len(held))), *HELD_WIDTH)
        return [
            PhotoFrame(*scene.render(photo.image, w, rng), photo.other)
            for photo, w in zip(held, widths, strict=True)
        ]

    def _replace_some(
        self, photos: Sequence[PhotoFrame], others: list[PhotoFrame], rng: np.random.Generator
    ) -> list[PhotoFrame]:
        """Replace a random span of the photos, which may wrap around, by other products."""
        count = len(photos)
        # Rounded up or down at random, so that few and many replaced frames are as likely.
        share = rng.uniform(0, self.data.max_other_product_fraction)
        replaced = min(count - 1, int(share * count + rng.random()))
        first = int(rng.integers(count + 1))
        images = list(photos)
        for step, other in enumerate(_in_turns(others, replaced, rng)):
            images[(first + step) % count] = other
        return images

    def _any_photo(self, key: Key, rng: np.random.Generator) -> Photo:
        photos = self.examples.photos_by_product[key]
        return photos[int(rng.integers(len(photos)))]

    def load_photo(self, photo: Photo, rng: np.random.Generator) -> ImageArray:
        """Load a photo from a random perspective, half of the time with other surroundings.

        Product images keep their surroundings: they show nothing beside the product that the
        model could learn instead of it.
        """
        image = read_cached_image(photo.path, self.max_side)
        keys = self.examples.photographed_by_shop[photo.shop_id]
        if rng.random() < NEW_SURROUNDINGS_PROB and not self.examples.is_product_image(photo):
            other = self._any_photo(keys[int(rng.integers(len(keys)))], rng)
            surroundings = read_cached_image(other.path, self.max_side)
            image = change_surroundings(image, surroundings, rng)
        return warp_perspective(image, rng)


def _in_turns(images: list[PhotoFrame], count: int, rng: np.random.Generator) -> list[PhotoFrame]:
    """Return `count` images: one of them, or several, each for a while."""
    several = len(images) if rng.random() < SEVERAL_PRODUCTS_PROB else 1
    turns = np.sort(rng.integers(several, size=count))
    return [images[turn] for turn in rng.permutation(len(images))[turns]]
