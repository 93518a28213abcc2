"""Composes clips of a livestream from photos: a product is held up over a cluttered scene.

For a part of the time, another product is held up instead. Frames are portrait, and the place of
what is held up is known exactly in each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sgmn.media.image import read_image
from sgmn.records import Box, ImageArray, Product
from sgmn.synth.difficulty import box_area, bucket_of
from sgmn.training.data.composition import (
    ASPECT,
    CORNER_RADIUS,
    HAND_PROB,
    Placement,
    Scene,
    add_fingers,
    paste_rounded,
    random_crop,
)
from sgmn.training.data.degradation import apply_light, sample_light

T = TypeVar("T")

HEIGHT_PX = 512
WIDTH_PX = round(HEIGHT_PX * ASPECT)
FPS, BOX_RATE_HZ = 6, 2
MAX_DISTRACTORS = 4
SIMILAR_PROB = 0.5  # that what is held up instead is of the same category, if there is one
PHOTO_S = (1.5, 4.0)  # how long one photo is held up
LIGHT_STRENGTH = 0.1

# The area of the product on sale, as a fraction of the frame: drawn in a range, and the upper
# limit and name of each bucket of the attribute "scale".
AREA_RANGES = ((0.06, 0.11), (0.14, 0.26), (0.34, 0.48))
SCALE_BUCKETS = ((0.12, "small"), (0.3, "medium"), (1.0, "large"))
# The same for the fraction of the clip in which it is visible, of the attribute "visible".
VISIBLE_RANGES = ((0.25, 0.44), (0.46, 0.74), (0.76, 1.0))
VISIBILITY_BUCKETS = ((0.45, "short"), (0.75, "medium"), (1.0, "long"))
MAX_HEIGHT = 0.8  # of what is held up, as a fraction of the frame

CENTER = ((0.38, 0.58), (0.35, 0.65))  # y, x
SWAY, ZOOM, JITTER = 0.04, 0.05, 0.004  # amplitudes, as fractions of the frame or the size
SWAY_PERIOD_S = (2.5, 7.0)


@dataclass(frozen=True, slots=True)
class PhotoStock:
    """The products of a shop, and the photos and sentences that clips are composed of.

    Attributes:
        products: By product id.
        product_photos: Photos to hold up, by the id of a product that has some.
        clutter_photos: Photos for the background and the distractors, in the same way.
        sentences: Sentences about products, by product id.
    """

    products: Mapping[str, Product]
    product_photos: Mapping[str, Sequence[Path]]
    clutter_photos: Mapping[str, Sequence[Path]]
    sentences: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo that is held up from one frame to another, the last one excluded.

    `width` and `height` are its mean size in pixels, `radius` is that of its corners.
    """

    product_id: str
    image: ImageArray
    start: int
    end: int
    width: float
    height: float
    radius: float


@dataclass(frozen=True, slots=True)
class Motion:
    """How the hand moves: (N, 2) center (y, x) of each frame, 0..1, and (N,) zoom around 1."""

    centers: NDArray[np.float64]
    zooms: NDArray[np.float64]

    @classmethod
    def sample(cls, frame_count: int, rng: np.random.Generator) -> Motion:
        """Draw a smooth motion around one place."""
        times = np.arange(frame_count) / FPS
        periods = rng.uniform(*SWAY_PERIOD_S, 3)
        phases = rng.uniform(0, 2 * np.pi, 3)
        waves = np.sin(2 * np.pi * times[:, None] / periods + phases)
        middle = np.array([rng.uniform(*limits) for limits in CENTER])
        jitter = rng.normal(0, JITTER, (frame_count, 2))
        return cls(middle + SWAY * waves[:, :2] + jitter, 1 + ZOOM * waves[:, 2])


@dataclass(frozen=True, slots=True)
class ComposedClip:
    """A clip that is planned and can be rendered, as often as needed.

    Attributes:
        product: The product on sale.
        shots: What is held up, without gaps.
        background: The photo behind the scene.
        distractors: The photo of each distractor, by product id.
        motion, light: See `Motion` and `apply_light`.
        scene_seed: Of the random choices in the scene.
    """

    product: Product
    shots: tuple[Shot, ...]
    background: Path
    distractors: Mapping[str, Path]
    motion: Motion
    light: NDArray[np.float64]
    scene_seed: int

    @property
    def frame_count(self) -> int:
        """The number of frames."""
        return self.shots[-1].end

    @property
    def other_ids(self) -> tuple[str, ...]:
        """The ids of all other products that the clip shows."""
        return tuple(
            dict.fromkeys(
                product_id
                for product_id in (*self.distractors, *(shot.product_id for shot in self.shots))
                if product_id != self.product.product_id
            )
        )

    def frames(self) -> Iterator[ImageArray]:
        """Render each frame, (HEIGHT_PX, WIDTH_PX, 3)."""
        photos = [read_image(path, HEIGHT_PX) for path in self.distractors.values()]
        rng = np.random.default_rng(self.scene_seed)
        scene = Scene.compose(read_image(self.background, HEIGHT_PX), photos, HEIGHT_PX, rng)
        for shot in self.shots:
            for number in range(shot.start, shot.end):
                frame = scene.background.copy()
                paste_rounded(frame, shot.image, self._place(shot, number), shot.radius)
                yield apply_light(frame, self.light)

    def _place(self, shot: Shot, number: int) -> Placement:
        """Return where a shot is in a frame: always inside it."""
        zoom, limits = self.motion.zooms[number], (HEIGHT_PX, WIDTH_PX)
        sizes = zip((shot.height, shot.width), limits, strict=True)
        height, width = (min(limit, round(size * zoom)) for size, limit in sizes)
        top, left = (
            int(np.clip(round(center * limit - size / 2), 0, limit - size))
            for center, limit, size in zip(
                self.motion.centers[number], limits, (height, width), strict=True
            )
        )
        return Placement(top, left, height, width)

    def boxes(self) -> list[tuple[str, Box]]:
        """Return the product that is held up and its box, BOX_RATE_HZ times a second."""
        entries = []
        for shot in self.shots:
            for number in range(shot.start, shot.end):
                if number % (FPS // BOX_RATE_HZ) == 0:
                    box = self._place(shot, number).to_box(HEIGHT_PX, WIDTH_PX)
                    left, top, right, bottom = (round(side, 4) for side in box)
                    entries.append((shot.product_id, (left, top, right, bottom)))
        return entries

    def visible_span(self) -> tuple[float, float]:
        """Return from when to when the product on sale is visible, in seconds."""
        own = [shot for shot in self.shots if shot.product_id == self.product.product_id]
        return round(own[0].start / FPS, 2), round(own[-1].end / FPS, 2)

    def attributes(self) -> dict[str, Any]:
        """Return the scale, the visibility and the number of products of the scene."""
        own_id = self.product.product_id
        areas = [box_area(box) for product_id, box in self.boxes() if product_id == own_id]
        own_shots = [shot for shot in self.shots if shot.product_id == own_id]
        visible = sum(shot.end - shot.start for shot in own_shots) / self.frame_count
        return {
            "scale": bucket_of(float(np.mean(areas)), SCALE_BUCKETS),
            "visible": bucket_of(visible, VISIBILITY_BUCKETS),
            "products": 1 + len(self.distractors),
        }


def compose_clip(
    stock: PhotoStock, product_id: str, duration_s: float, rng: np.random.Generator
) -> ComposedClip:
    """Plan a clip that sells a product of `stock.product_photos`, which lists at least two."""
    frame_count = round(duration_s * FPS)
    area = rng.uniform(*AREA_RANGES[int(rng.integers(len(AREA_RANGES)))])
    shots = tuple(_compose_shots(stock, product_id, frame_count, area, rng))
    others = [other for other in stock.clutter_photos if other != product_id]
    clutter_ids = [others[i] for i in rng.permutation(len(others))]
    photos = [(other, _choose(stock.clutter_photos[other], rng)) for other in clutter_ids]
    count = int(rng.integers(MAX_DISTRACTORS + 1))
    return ComposedClip(
        product=stock.products[product_id],
        shots=shots,
        background=photos[0][1],
        distractors=dict(photos[1 : 1 + count]),
        motion=Motion.sample(frame_count, rng),
        light=sample_light(LIGHT_STRENGTH, rng),
        scene_seed=int(rng.integers(2**32)),
    )


def _compose_shots(
    stock: PhotoStock, product_id: str, frame_count: int, area: float, rng: np.random.Generator
) -> Iterator[Shot]:
    """Hold up the product for one span, and before and after it another product."""
    visible = rng.uniform(*VISIBLE_RANGES[int(rng.integers(len(VISIBLE_RANGES)))])
    length = round(visible * frame_count)
    start = int(rng.integers(frame_count - length + 1))
    spans = (
        (_similar_product(stock, product_id, rng), 0, start),
        (product_id, start, start + length),
        (_similar_product(stock, product_id, rng), start + length, frame_count),
    )
    for shot_id, first, end in spans:
        while first < end:
            length = round(rng.uniform(*PHOTO_S) * FPS)
            # A photo is not held up for an instant only, unless the whole span is that short.
            last = end if end - first - length < PHOTO_S[0] * FPS else first + length
            photo = read_image(_choose(stock.product_photos[shot_id], rng), HEIGHT_PX)
            yield _compose_shot(shot_id, photo, (first, last), area, rng)
            first = last


def _similar_product(stock: PhotoStock, product_id: str, rng: np.random.Generator) -> str:
    """Draw another product, often one of the same category."""
    others = [other for other in stock.product_photos if other != product_id]
    category = stock.products[product_id].category
    similar = [other for other in others if stock.products[other].category == category]
    return _choose(similar if similar and rng.random() < SIMILAR_PROB else others, rng)


def _compose_shot(
    product_id: str,
    photo: ImageArray,
    span: tuple[int, int],
    area: float,
    rng: np.random.Generator,
) -> Shot:
    image = random_crop(photo, 0.75, rng)
    if rng.random() < HAND_PROB:
        image = add_fingers(image, rng)
    aspect = image.shape[1] / image.shape[0]
    width = np.sqrt(area * HEIGHT_PX * WIDTH_PX * aspect)
    width = min(width, WIDTH_PX, MAX_HEIGHT * HEIGHT_PX * aspect)
    radius = rng.uniform(*CORNER_RADIUS)
    return Shot(product_id, image, *span, float(width), float(width / aspect), radius)


def _choose(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]
