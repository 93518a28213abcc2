"""Loads training examples: decodes and augments clips, photos and products.

An example is a labeled clip, or a labeled photo. The clip of a photo consists of several photos of
the same product. All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sgmn.data.dataset import Photo
from sgmn.media.clips import Frame, read_timed_clip_frames
from sgmn.records import Clip, ClipContent, ImageArray, Product, ProductContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import boxes
from sgmn.training.data.boxes import FrameBoxes
from sgmn.training.data.composition import random_crop
from sgmn.training.data.degradation import Degradation, apply_light, sample_light
from sgmn.training.data.examples import Examples, Key, labeled_keys
from sgmn.training.data.photo_clips import PhotoClips, read_cached_image
from sgmn.training.data.transcript_sampler import TranscriptSampler

MAX_CANDIDATE_FRAMES = 64  # of a video clip, from which `frames_per_clip` are drawn


@lru_cache(maxsize=1024)  # 64 frames of 256 x 144 take 7 MB, the usual ten of them 1.1
def read_cached_frames(clip: Clip, rate_hz: float, max_side: int) -> tuple[Frame, ...]:
    """Read the candidate frames of a clip, from memory if they were read before."""
    return read_timed_clip_frames(clip, MAX_CANDIDATE_FRAMES, rate_hz, max_side)


class BoxedClip(NamedTuple):
    """A clip and the boxes of each of its frames; no boxes at all without labels."""

    content: ClipContent
    boxes: tuple[FrameBoxes, ...] = ()


class ExampleLoader:
    """Loads clips and products with images of at most `max_side` pixels."""

    def __init__(
        self, examples: Examples, data: DataConfig, train: TrainConfig, max_side: int
    ) -> None:
        self.data, self.train, self.max_side = data, train, max_side
        self.photo_clips = PhotoClips(examples, data, train, max_side)
        self.transcripts = TranscriptSampler(examples, data, train)

    def load_product(self, product: Product, rng: np.random.Generator) -> ProductContent:
        """Load one of the product's images, slightly cropped and lit, and usually its title."""
        paths = product.image_paths if self.data.frames_per_clip else ()
        chosen = [paths[int(rng.integers(len(paths)))]] if paths else []
        jitter = self.train.color_jitter / 2
        images = tuple(
            apply_light(
                random_crop(read_cached_image(path, self.max_side), 0.8, rng),
                sample_light(jitter, rng),
            )
            for path in chosen
        )
        silent = bool(images) and rng.random() < self.train.drop_title_prob
        return ProductContent(images, "" if silent else product.title)

    def load_plain_product(self, product: Product) -> ProductContent:
        """Load the main image and the title without augmentation."""
        paths = product.image_paths[:1]
        images = tuple(read_cached_image(path, self.max_side) for path in paths)
        return ProductContent(images, product.title)

    def load_clip(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> ClipContent:
        """Load a clip, or compose one from photos; without frames if `frames_per_clip` is 0.

        clutter_prob: probability that photos are composed into a cluttered stream (0..1).
        """
        return self._load(item, clutter_prob, rng)[0]

    def load_boxed_clip(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> BoxedClip:
        """Load the clip that `load_clip` returns, with its boxes; photos have no boxes."""
        content, times = self._load(item, clutter_prob, rng)
        if isinstance(item, Photo):
            return BoxedClip(content)
        return BoxedClip(content, boxes.boxes_at_times(item, times, self.data.frame_rate_hz))

    def _load(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> tuple[ClipContent, tuple[float, ...]]:
        """Return a clip and the times of its frames in seconds; photos have no times."""
        others: list[Key] = []
        images: tuple[ImageArray, ...] = ()
        times: tuple[float, ...] = ()
        if isinstance(item, Photo):
            others = self.photo_clips.sample_others(labeled_keys(item)[0], rng)
            if self.data.frames_per_clip:
                images = self.photo_clips.frames(item, others, clutter_prob, rng)
        elif self.data.frames_per_clip:
            frames = self._video_frames(item, rng)
            images, times = tuple(f.rgb for f in frames), tuple(f.time_s for f in frames)
        return ClipContent(images, self.transcripts.sample(item, others, rng)), times

    def _video_frames(self, clip: Clip, rng: np.random.Generator) -> list[Frame]:
        candidates = read_cached_frames(clip, self.data.frame_rate_hz, self.max_side)
        positions = sample_segments(len(candidates), self.data.frames_per_clip, rng)
        degradation = Degradation.sample(self.train, rng)
        frames = [
            Frame(candidates[i].time_s, degradation.apply(candidates[i].rgb, rng))
            for i in positions
        ]
        return _drop_span(frames, self.train.max_dropped_frames_fraction, rng)


def sample_segments(count: int, segments: int, rng: np.random.Generator) -> list[int]:
    """Draw one position from each of `segments` equal parts of `count` (Wang et al. 2016)."""
    if count <= segments:
        return list(range(count))
    edges = np.linspace(0, count, segments + 1)
    return [int(position) for position in rng.uniform(edges[:-1], edges[1:])]


def _drop_span(frames: list[Frame], max_fraction: float, rng: np.random.Generator) -> list[Frame]:
    """Drop a random span of the frames; at least one frame stays."""
    length = int(rng.uniform(0, max_fraction) * len(frames))
    start = int(rng.integers(len(frames) - length + 1))
    return frames[:start] + frames[start + length :] or frames[:1]
