"""Loads training examples: decodes and augments clips, photos and products.

An example is a labeled clip, or a labeled photo. The clip of a photo consists of several photos of
the same product. All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgmn.data.dataset import Photo
from sgmn.media.clips import read_timed_clip_frames
from sgmn.media.frame import Frame
from sgmn.media.image import read_image
from sgmn.product_text import build_product_text
from sgmn.records import Clip, ClipContent, ImageArray, Product, ProductContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import boxes
from sgmn.training.data.boxes import FrameBoxes
from sgmn.training.data.composition import random_crop
from sgmn.training.data.degradation import Degradation, apply_light, sample_light
from sgmn.training.data.dropped_frames import sample_dropped_frames
from sgmn.training.data.examples import Examples, Key, labeled_keys
from sgmn.training.data.photo_clips import PhotoClips, PhotoFrame, read_cached_image
from sgmn.training.data.transcript_sampler import TranscriptSampler

MAX_CANDIDATE_FRAMES = 64  # of a video clip, from which `frames_per_clip` are drawn


def read_candidate_frames(clip: Clip, rate_hz: float, max_side: int) -> tuple[Frame, ...]:
    """Read the candidate frames of a clip."""
    return read_timed_clip_frames(clip, MAX_CANDIDATE_FRAMES, rate_hz, max_side)


# 64 frames of 256 x 144 take 7 MB, the usual ten of them 1.1
read_cached_frames = lru_cache(maxsize=1024)(read_candidate_frames)


class LoadedClip(NamedTuple):
    """A clip with its labels.

    Attributes:
        content: frames and transcript.
        keys: the listed products that the clip is about.
        boxes: of these products in each frame; empty if they are not known.
        visible: whether each frame shows these products; empty if that is not known.
        is_counterfactual: whether the clip was made about another product than its label.
    """

    content: ClipContent
    keys: tuple[Key, ...]
    boxes: tuple[FrameBoxes, ...] = ()
    visible: tuple[bool, ...] = ()
    is_counterfactual: bool = False


class _Footage(NamedTuple):
    """The frames of an example.

    Attributes:
        images: the frames.
        times: of the frames of a clip, in seconds.
        photos: the frames of a photo, before they are images.
        others: products that appear besides the own one and may be mentioned.
    """

    images: tuple[ImageArray, ...] = ()
    times: tuple[float, ...] = ()
    photos: tuple[PhotoFrame, ...] = ()
    others: tuple[Key, ...] = ()


class ExampleLoader:
    """Loads clips and products with images of at most `max_side` pixels."""

    def __init__(
        self, examples: Examples, data: DataConfig, train: TrainConfig, max_side: int
    ) -> None:
        self.examples, self.data, self.train, self.max_side = examples, data, train, max_side
        self.photo_clips = PhotoClips(examples, data, train, max_side)
        self.transcripts = TranscriptSampler(examples, data, train)

    def load_product(self, product: Product, rng: np.random.Generator) -> ProductContent:
        """Load one of the product's images, slightly cropped and lit, and usually its text."""
        paths = product.image_paths if self.data.frames_per_clip else ()
        chosen = [paths[int(rng.integers(len(paths)))]] if paths else []
        jitter = self.train.color_jitter / 2
        images = tuple(
            apply_light(
                random_crop(self._read_image(path), 0.8, rng),
                sample_light(jitter, rng),
            )
            for path in chosen
        )
        silent = bool(images) and rng.random() < self.train.drop_title_prob
        return ProductContent(images, "" if silent else self._text(product))

    def _read_image(self, path: Path) -> ImageArray:
        read = read_cached_image if self.examples.keeps_media else read_image
        return read(path, self.max_side)

    def load_plain_product(self, product: Product) -> ProductContent:
        """Load the main image and the text without augmentation."""
        paths = product.image_paths[:1]
        images = tuple(read_cached_image(path, self.max_side) for path in paths)
        return ProductContent(images, self._text(product))

    def _text(self, product: Product) -> str:
        return build_product_text(product, self.data.product_text)

    def load_clip(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> ClipContent:
        """Load a clip, or compose one from photos; without frames if `frames_per_clip` is 0.

        clutter_prob: probability that photos are composed into a cluttered stream (0..1).
        """
        footage = self._load_footage(item, clutter_prob, rng)
        return ClipContent(footage.images, self.transcripts.sample(item, footage.others, rng))

    def load_labeled_clip(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> LoadedClip:
        """Load the clip that `load_clip` returns, with its labels."""
        return self.load_variants(item, clutter_prob, 0.0, rng)[0]

    def load_variants(
        self,
        item: Clip | Photo,
        clutter_prob: float,
        counterfactual_prob: float,
        rng: np.random.Generator,
    ) -> list[LoadedClip]:
        """Load a labeled clip and, with some probability, its counterfactual.

        The counterfactual is about another product that the clip shows: the same frames with a
        synthetic transcript about that product and its boxes. A clip that shows no other listed
        product with a title has none.
        """
        footage = self._load_footage(item, clutter_prob, rng)
        text = self.transcripts.sample(item, footage.others, rng)
        keys = tuple(self.examples.product_keys(item))
        boxes, visible = self._label(item, footage)
        clips = [LoadedClip(ClipContent(footage.images, text), keys, boxes, visible)]
        if counterfactual_prob and rng.random() < counterfactual_prob:
            boxes_by_key = self._boxes_of_others(item, footage)
            if boxes_by_key:
                candidates = list(boxes_by_key)
                other = candidates[int(rng.integers(len(candidates)))]
                text = self.transcripts.compose_about(other, [*footage.others, *keys], rng)
                boxes = boxes_by_key[other]
                content = ClipContent(footage.images, text)
                clips.append(LoadedClip(content, (other,), boxes, tuple(map(bool, boxes)), True))
        return clips

    def _load_footage(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> _Footage:
        if isinstance(item, Photo):
            others = self.photo_clips.sample_others(labeled_keys(item)[0], rng)
            if not self.data.frames_per_clip:
                return _Footage(others=tuple(others))
            photos = self.photo_clips.frames(item, others, clutter_prob, rng)
            images = tuple(photo.image for photo in photos)
            return _Footage(images, photos=photos, others=tuple(others))
        if not self.data.frames_per_clip:
            return _Footage()
        frames = self._video_frames(item, rng)
        return _Footage(tuple(f.rgb for f in frames), tuple(f.time_s for f in frames))

    def _label(
        self, item: Clip | Photo, footage: _Footage
    ) -> tuple[tuple[FrameBoxes, ...], tuple[bool, ...]]:
        """Return the boxes of an example in each frame, and which frames show its product."""
        if isinstance(item, Photo):
            own = _boxes_where(footage.photos, None)
            return own, tuple(photo.other is None for photo in footage.photos)
        times = footage.times
        own = boxes.boxes_at_times(item, times, self.data.frame_rate_hz) if item.boxes else ()
        return own, boxes.visible_at_times(item, times, own)

    def _boxes_of_others(
        self, item: Clip | Photo, footage: _Footage
    ) -> dict[Key, tuple[FrameBoxes, ...]]:
        """Return the boxes of the other products that an example shows and that can be named."""
        if isinstance(item, Photo):
            keys = dict.fromkeys(photo.other for photo in footage.photos if photo.other)
            shown = {key: _boxes_where(footage.photos, key) for key in keys}
        else:
            by_id = boxes.other_boxes_at_times(item, footage.times, self.data.frame_rate_hz)
            shown = {(item.shop_id, product_id): b for product_id, b in by_id.items()}
        own, products = labeled_keys(item), self.examples.products
        return {
            key: frame_boxes
            for key, frame_boxes in shown.items()
            if key not in own and key in products and products[key].title
        }

    def _video_frames(self, clip: Clip, rng: np.random.Generator) -> list[Frame]:
        read = read_cached_frames if self.examples.keeps_media else read_candidate_frames
        candidates = read(clip, self.data.frame_rate_hz, self.max_side)
        positions = sample_segments(len(candidates), self.data.frames_per_clip, rng)
        degradation = Degradation.sample(self.train, rng)
        frames = [
            Frame(candidates[i].time_s, degradation.apply(candidates[i].rgb, rng))
            for i in positions
        ]
        dropped = sample_dropped_frames(len(frames), self.train, rng)
        return frames[: dropped.start] + frames[dropped.stop :]


def _boxes_where(photos: Sequence[PhotoFrame], other: Key | None) -> tuple[FrameBoxes, ...]:
    """Return the box of each frame in which this other product, or the own one, is held up."""
    return tuple(
        (photo.box,) if photo.box is not None and photo.other == other else () for photo in photos
    )


def sample_segments(count: int, segments: int, rng: np.random.Generator) -> list[int]:
    """Draw one position from each of `segments` equal parts of `count` (Wang et al. 2016)."""
    if count <= segments:
        return list(range(count))
    edges = np.linspace(0, count, segments + 1)
    return [int(position) for position in rng.uniform(edges[:-1], edges[1:])]
