"""An explanation with its images, and the elements that contact sheets and videos share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sgmn.records import ImageArray
from sgmn.report.canvas import GAP, GRAY, TRACK_COLOR, Box, Canvas, Color, fit_size
from sgmn.report.heatmap_overlay import MAX_TIMES_UNIFORM, blend_heatmap, overlay_heatmap
from sgmn.report.text_layout import text_width, truncate_text

if TYPE_CHECKING:
    from sgmn.model.explanation import AttentionMap, Explanation, ProductExplanation
    from sgmn.model.word_spans import WordWeight

RANK_LABELS = ("Best match", "Runner-up")
RANK_COLORS: tuple[Color, ...] = ((40, 92, 168), (198, 116, 44))
RANK_TINTS: tuple[Color, ...] = ((146, 176, 218), (230, 187, 146))
UNIFORM_ATTENTION_NOTE = "This model has no guidance: it pays equal attention to everything."
EQUAL_WEIGHT_TOLERANCE = 1e-6  # weights that differ by less are equal


@dataclass(frozen=True, eq=False)
class IllustratedProduct:
    """A product with its title and images; it may have none."""

    product_id: str
    title: str
    images: tuple[ImageArray, ...] = ()


@dataclass(frozen=True, eq=False)
class IllustratedExplanation:
    """An explanation with its images, of any size, in the same order.

    Attributes:
        name: Name of the clip.
        times_s: (T,) times of the frames, in seconds.
        end_s: End of the last frame, in seconds.
        frames: The T frames.
        explanation: The explanation.
        products: The first two products of the explanation, or the only one.
    """

    name: str
    times_s: tuple[float, ...]
    end_s: float
    frames: tuple[ImageArray, ...]
    explanation: Explanation
    products: tuple[IllustratedProduct, ...]


def draw_transcript(canvas: Canvas, words: Sequence[WordWeight], box: Box, size: int) -> int:
    """Draw the spoken words under a heading and return the y below them."""
    x, y, width, height = box
    if not words:
        canvas.draw_text((x, y), "No speech", 18, GRAY)
        return y + 18
    canvas.draw_text((x, y), "Transcript", 18, GRAY)
    return canvas.draw_words(words, (x, y + 18 + GAP // 2, width, height), size)


def draw_product_image(
    canvas: Canvas, product: IllustratedProduct, explanation: ProductExplanation, box: Box
) -> None:
    """Draw the product image with the highest weight in the middle of a box."""
    x, y, width, height = box
    if not product.images:
        canvas.draw.rectangle((x, y, x + width - 1, y + height - 1), TRACK_COLOR)
        canvas.draw_text((x + width // 2, y + height // 2), "no image", 18, GRAY, "mm")
        return
    index = select_highest_weights(explanation.views, 1)[0]
    size = fit_size(product.images[index], width, height)
    image = overlay_heatmap(product.images[index], explanation.views[index].heatmap, size)
    canvas.image.paste(image, (x + (width - size[0]) // 2, y + (height - size[1]) // 2))


def draw_legend(canvas: Canvas, is_guided: bool, position: tuple[int, int, int]) -> int:
    """Draw what the heatmap colors mean, or that there are none; return the y below.

    `position` is x, y and the available width.
    """
    x, y, width = position
    if not is_guided:
        canvas.draw_text((x, y), truncate_text(UNIFORM_ATTENTION_NOTE, 18, width), 18, GRAY)
        return y + 18
    label = "Attention: average"
    canvas.draw_text((x, y), label, 18, GRAY)
    x += text_width(label, 18) + GAP // 2
    levels = np.linspace(0, 1, 160)[None].repeat(12, 0)
    scale = blend_heatmap(np.full((12, 160, 3), 255.0), levels)
    canvas.image.paste(Image.fromarray(scale), (x, y + 5))
    end_label = f"{MAX_TIMES_UNIFORM:.0f}x average or more"
    canvas.draw_text((x + 160 + GAP // 2, y), end_label, 18, GRAY)
    return y + 18


def select_highest_weights(maps: Sequence[AttentionMap], count: int) -> list[int]:
    """Return the indices of the `count` highest weights, in the order of time.

    If all weights are equal, the indices are spread evenly.
    """
    weights = [attention.weight for attention in maps]
    if len(weights) > count and max(weights) - min(weights) < EQUAL_WEIGHT_TOLERANCE:
        return [place * len(weights) // count for place in range(count)]
    by_weight = sorted(range(len(weights)), key=lambda index: -weights[index])
    return sorted(by_weight[:count])
