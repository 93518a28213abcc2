"""The records that the subpackages exchange. All are frozen and validate themselves.

Times are in seconds. Boxes are (left, top, right, bottom) as fractions of width and height.
Invalid values raise RecordError.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import RecordError

Box = tuple[float, float, float, float]
ImageArray = NDArray[np.uint8]  # (H, W, 3), RGB


def _require(condition: bool, where: str, message: str, remedy: str) -> None:
    if not condition:
        raise RecordError(message, where=where, remedy=remedy)


def _require_span(start: float, end: float, where: str) -> None:
    _require(
        isfinite(start) and isfinite(end) and 0 <= start <= end,
        where,
        f"start {start} and end {end} are not a valid time span",
        "pass finite seconds with 0 <= start <= end",
    )


@dataclass(frozen=True, slots=True)
class Utterance:
    """Text spoken from `start` to `end`, in seconds. Raises RecordError if they are impossible.

    Example:
        >>> Utterance(1.5, 4.0, "this is the oat milk").text
        'this is the oat milk'
    """

    start: float
    end: float
    text: str

    def __post_init__(self) -> None:
        _require_span(self.start, self.end, f"utterance {self.text[:40]!r}")


@dataclass(frozen=True, slots=True)
class Product:
    """A product listing of a shop.

    Attributes:
        product_id: Unique within the shop.
        title: Title of the listing; may be empty if there is an image.
        image: Path of the main view; may be None if there is a title.
        images: Paths of further views.
        shop_id: The shop that sells the product.
        category: Category name of the shop.
        attributes: Named attributes such as color; reports can break down results by them.
        extra: Other fields of the dataset row, unchanged.

    Raises:
        RecordError: It has no id, or neither title nor image.

    Example:
        >>> Product("p1", title="Oat milk 1 l", image=Path("oat.jpg")).image_paths
        (PosixPath('oat.jpg'),)
    """

    product_id: str
    title: str = ""
    image: Path | None = None
    images: tuple[Path, ...] = ()
    shop_id: str = ""
    category: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _require(bool(self.product_id), "product", "product_id is empty", "use a unique id")
        _require(
            bool(self.title.strip()) or self.image is not None,
            f"product {self.product_id!r}",
            "has neither title nor image",
            "add at least one of them",
        )

    @property
    def key(self) -> tuple[str, str]:
        """The unique key of a product: (shop_id, product_id)."""
        return self.shop_id, self.product_id

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """The paths of all views, main view first."""
        return (() if self.image is None else (self.image,)) + self.images


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of a livestream, with its transcript and the products it sells.

    Attributes:
        clip_id: Unique within the dataset.
        video: Video file that contains the clip; None if the clip consists of `frames`.
        frames: Paths of the frames in order, instead of a video.
        transcript: Utterances of the clip, in order.
        product_ids: The products on sale in the clip.
        shop_id: The shop of these products.
        start: Start of the clip within `video`, in seconds.
        end: End of the clip within `video`, in seconds; None for the end of the video.
        boxes: For each sampled frame, the bounding boxes of the product on sale.
        split: Name of the dataset split, such as "train".
        attributes: Named attributes; reports can break down results by them.
        extra: Other fields of the dataset row, unchanged.

    Raises:
        RecordError: It has no id, a span or box is impossible, or it has both a video and frames.

    Example:
        >>> words = (Utterance(0, 2, "this is"), Utterance(2, 4, "the oat milk"))
        >>> Clip("c1", video=Path("clip.mp4"), transcript=words, product_ids=("p1",)).text
        'this is the oat milk'
    """

    clip_id: str
    video: Path | None = None
    frames: tuple[Path, ...] = ()
    transcript: tuple[Utterance, ...] = ()
    product_ids: tuple[str, ...] = ()
    shop_id: str = ""
    start: float = 0.0
    end: float | None = None
    boxes: tuple[tuple[Box, ...], ...] = ()
    split: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        where = f"clip {self.clip_id!r}"
        _require(bool(self.clip_id), "clip", "clip_id is empty", "use a unique id")
        _require(
            (self.video is None) != (not self.frames),
            where,
            "needs either a video or frames",
            "pass exactly one of them",
        )
        _require_span(self.start, self.start if self.end is None else self.end, where)
        for box in (box for boxes in self.boxes for box in boxes):
            _require(
                _is_box(box),
                where,
                f"{box} is not a valid box",
                "pass left, top, right, bottom in 0..1",
            )

    @property
    def text(self) -> str:
        """The transcript as one string, in order."""
        return " ".join(u.text.strip() for u in self.transcript if u.text.strip())


def _is_box(box: Sequence[float]) -> bool:
    if len(box) != 4 or not all(isfinite(side) for side in box):
        return False
    left, top, right, bottom = box
    return 0 <= left <= right <= 1 and 0 <= top <= bottom <= 1


@dataclass(frozen=True, slots=True)
class ClipContent:
    """A decoded clip: its frames in order, and its transcript as one string."""

    frames: tuple[ImageArray, ...]
    text: str = ""

    def select_modalities(self, modalities: Collection[str]) -> ClipContent:
        """Return the clip with only the given modalities, out of "image" and "text"."""
        frames = self.frames if "image" in modalities else ()
        return ClipContent(frames, self.text if "text" in modalities else "")


@dataclass(frozen=True, slots=True)
class ProductContent:
    """A decoded listing: its images, main view first, and its text; see `product_text`."""

    images: tuple[ImageArray, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A product retrieved for a clip; a higher `score` is better."""

    product_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a stream in which one product is on sale.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        product_id: The product on sale; None if nothing is on sale.
        confidence: Probability of `product_id`, 0..1.
        runner_up: The second most likely product.

    Raises:
        RecordError: The span is impossible, or the confidence is not a probability.

    Example:
        >>> segment = Segment(12.0, 30.5, "p1", confidence=0.9, runner_up="p2")
        >>> segment.end - segment.start
        18.5
    """

    start: float
    end: float
    product_id: str | None
    confidence: float = 1.0
    runner_up: str | None = None

    def __post_init__(self) -> None:
        _require_span(self.start, self.end, f"segment of {self.product_id!r}")
        _require(
            0 <= self.confidence <= 1,
            f"segment of {self.product_id!r}",
            f"confidence {self.confidence} is not a probability",
            "pass a number in 0..1",
        )
