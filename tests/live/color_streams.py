"""A fake stream of plain colors, an embedder that sees them, and a shelf of three colors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from sgmn.catalogue.shelf import Shelf
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import StreamRecognizer
from sgmn.media.live_source import LiveFrame
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.model.scoring import MODALITIES, ClipVectors, Modality
from sgmn.model.tokens import ImageTokens
from sgmn.records import ImageArray

SETTINGS = TimelineSettings(nothing_threshold=0.0, switch_cost=1.0, window_s=6.0)
START_WALL_S = 1_000_000.0  # when every fake stream begins
COLORS = ("red", "green", "blue")


class ColorEmbedder:
    """Encodes an image as its mean color, and a text as the colors that it names.

    Frames are as salient as they are bright.
    """

    max_side = 8
    ranker = SimpleNamespace(weights=SimpleNamespace(logit_scale=1.0), parts=None)

    def __init__(self) -> None:
        self.image_count = 0
        self.largest_batch = 0

    def encode_images(self, images: Sequence[ImageArray]) -> ImageTokens:
        self.image_count += len(images)
        self.largest_batch = max(self.largest_batch, len(images))
        means = [np.asarray(image, float).mean((0, 1)) / 255 for image in images]
        pooled = torch.tensor(np.array(means).reshape(-1, 3))
        mask = torch.ones(len(pooled), 1, dtype=torch.bool)
        return ImageTokens(pooled, pooled[:, None], mask, torch.full((len(pooled), 1, 2), 0.5))

    def encode_frames(self, images: Sequence[ImageArray]) -> EncodedFrames:
        return EncodedFrames(self.encode_images(images))

    def encode_windows(self, frames: Sequence[EncodedFrames], texts: Sequence[str]) -> ClipVectors:
        image = torch.stack(
            [window.tokens.pooled.mean(0) if len(window) else torch.zeros(3) for window in frames]
        )
        text = torch.tensor([[float(color in text) for color in COLORS] for text in texts])
        has_image = torch.tensor([len(window) > 0 for window in frames])
        weights = torch.ones(len(frames), 1)
        return ClipVectors(
            image[:, None], weights, image, has_image, text, text.any(1), saliency=image.sum(1)
        )


class ColorShelf:
    """A shelf of three colors."""

    product_ids = COLORS

    def scores(self, clips: Any, ranker: Any) -> Any:
        return 8.0 * (clips.image + clips.text)


class ColorStream:
    """A stream of one frame per second, each of one color.

    `on_frame` is called with the number of each frame when it is due.
    """

    damage: Sequence[str] = ("two packets are lost",)
    dropped_frames, reconnects = 3, 1

    def __init__(
        self, colors: Sequence[str], on_frame: Callable[[int], None] = lambda number: None
    ) -> None:
        self.colors, self.on_frame, self.is_closed = colors, on_frame, False

    def __iter__(self) -> Iterator[LiveFrame]:
        for number, color in enumerate(self.colors):
            self.on_frame(number)
            if self.is_closed:
                return
            rgb = np.zeros((2, 2, 3), np.uint8)
            if color in COLORS:
                rgb[..., COLORS.index(color)] = 255
            yield LiveFrame(float(number), START_WALL_S + number, rgb)

    def close(self) -> None:
        self.is_closed = True


def build_recognizer(
    embedder: ColorEmbedder,
    modalities: tuple[Modality, ...] = MODALITIES,
    kind: type[StreamRecognizer] = StreamRecognizer,
) -> StreamRecognizer:
    return kind(cast(Embedder, embedder), cast(Shelf, ColorShelf()), SETTINGS, modalities)


def color_sequence(*spans: tuple[str, int]) -> list[str]:
    """Return one color per second from (color, seconds) pairs."""
    return [color for color, seconds in spans for _ in range(seconds)]


THREE_COLORS = color_sequence(("red", 20), ("blue", 15), ("green", 25))
