"""An explanation as one image: the frames that count most, the words, and the scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sgmn.report.canvas import GAP, GRAY, TEXT_COLOR, TRACK_COLOR, Canvas, fit_size
from sgmn.report.formatting import format_percent, format_time
from sgmn.report.heatmap_overlay import overlay_heatmap
from sgmn.report.illustration import (
    RANK_COLORS,
    RANK_LABELS,
    RANK_TINTS,
    IllustratedExplanation,
    draw_legend,
    draw_product_image,
    draw_transcript,
    select_highest_weights,
)
from sgmn.report.text_layout import text_width, truncate_text

if TYPE_CHECKING:
    from sgmn.model.explanation import ProductExplanation

TERM_LABELS = {
    "match": "frame by frame",
    "instances": "patch by patch",
    "text-image": "text to image",
    "image-text": "image to title",
}
SHEET_WIDTH, MARGIN = 1440, 48  # pixels
CONTENT_WIDTH = SHEET_WIDTH - 2 * MARGIN
MAX_FRAMES, MAX_FRAME_HEIGHT = 6, 380  # the frames with the highest weights; pixels
PRODUCT_IMAGE_SIDE = 220  # pixels


def write_contact_sheet(illustration: IllustratedExplanation, path: Path) -> None:
    """Write the contact sheet in the format of the file extension. Raises OSError."""
    draw_contact_sheet(illustration).save(path)


def draw_contact_sheet(illustration: IllustratedExplanation) -> Image.Image:
    """Draw the whole explanation, 1440 pixels wide and as high as it needs."""
    canvas = Canvas(SHEET_WIDTH, 2400)
    explanation = illustration.explanation
    y = _draw_heading(canvas, illustration, MARGIN)
    y = _draw_frames(canvas, illustration, y) + 2 * GAP
    y = draw_transcript(canvas, explanation.words, (MARGIN, y, CONTENT_WIDTH, 170), 30) + 2 * GAP
    column = (CONTENT_WIDTH - 3 * GAP) // 2
    lefts = [MARGIN, MARGIN + column + 3 * GAP][: len(illustration.products)]
    y = max(
        _draw_product(canvas, illustration, rank, (x, y, column)) for rank, x in enumerate(lefts)
    )
    y = draw_legend(canvas, explanation.has_guidance, (MARGIN, y + 2 * GAP, CONTENT_WIDTH))
    return canvas.image.crop((0, 0, SHEET_WIDTH, y + MARGIN))


def _draw_heading(canvas: Canvas, illustration: IllustratedExplanation, y: int) -> int:
    count = len(illustration.frames)
    span = f"{format_time(illustration.times_s[0])} to {format_time(illustration.end_s)}"
    selection = f", {MAX_FRAMES} of them here" if count > MAX_FRAMES else ""
    text = f"{span}, {count} frame{'s' * (count > 1)}{selection}"
    canvas.draw_text((SHEET_WIDTH - MARGIN, y + 8), text, 18, GRAY, "ra")
    name_width = CONTENT_WIDTH - text_width(text, 18) - GAP
    canvas.draw_text((MARGIN, y), truncate_text(illustration.name, 26, name_width), 26)
    return y + 26 + GAP


def _draw_frames(canvas: Canvas, illustration: IllustratedExplanation, y: int) -> int:
    """Draw frames in a row, each with its time, its weight and a bar for the weight."""
    maps = illustration.explanation.frames
    selected = select_highest_weights(maps, MAX_FRAMES)
    max_width = (CONTENT_WIDTH - (len(selected) - 1) * GAP) // len(selected)
    sizes = [fit_size(illustration.frames[i], max_width, MAX_FRAME_HEIGHT) for i in selected]
    max_weight = max(attention.weight for attention in maps) or 1
    bottom, x = y + max(size[1] for size in sizes), MARGIN
    for index, (width, height) in zip(selected, sizes, strict=True):
        attention = maps[index]
        image = overlay_heatmap(illustration.frames[index], attention.heatmap, (width, height))
        canvas.image.paste(image, (x, bottom - height))
        canvas.draw_text((x, bottom + 8), format_time(illustration.times_s[index]), 18, GRAY)
        weight = format_percent(attention.weight)
        canvas.draw_text((x + width, bottom + 8), weight, 18, TEXT_COLOR, "ra")
        bar = (x, bottom + 36, width, 6)
        canvas.draw_bar(bar, 0, attention.weight / max_weight, RANK_COLORS[0])
        x += width + GAP
    return bottom + 42


def _draw_product(
    canvas: Canvas, illustration: IllustratedExplanation, rank: int, position: tuple[int, int, int]
) -> int:
    """Draw a product with its image and title, and the terms of its score below."""
    x, y, width = position
    comparisons = illustration.explanation.products
    explanation, product = comparisons[rank], illustration.products[rank]
    canvas.draw_text((x, y), RANK_LABELS[rank], 18, GRAY)
    y, side = y + 18 + GAP // 2, PRODUCT_IMAGE_SIDE
    left, text_room = x + side + GAP, width - side - GAP
    draw_product_image(canvas, product, explanation, (x, y, side, side))
    title_bottom = canvas.draw_words(explanation.title, (left, y, text_room, 120), 24)
    product_id = truncate_text(product.product_id, 18, text_room)
    canvas.draw_text((left, title_bottom + 6), product_id, 18, GRAY)
    canvas.draw_text((left, y + side), f"{explanation.score:.3f}", 44, RANK_COLORS[rank], "ls")
    return _draw_score_terms(canvas, comparisons, rank, (x, y + side + GAP, width))


def _draw_score_terms(
    canvas: Canvas,
    comparisons: Sequence[ProductExplanation],
    rank: int,
    position: tuple[int, int, int],
) -> int:
    """Draw what each term adds, and the score, as bars on one scale for both products."""
    x, y, width = position
    limits = _bar_limits(comparisons)
    products = {
        TERM_LABELS.get(term.name, term.name): f"{term.weight:.2f} x {term.value:.2f}"
        for term in comparisons[rank].terms
    }
    for label, value in score_contributions(comparisons[rank]).items():
        is_score = label == "score"
        if is_score:
            canvas.draw.line((x, y + 4, x + width - 1, y + 4), TRACK_COLOR)
            y += 12
        canvas.draw_text((x, y), label, 18, TEXT_COLOR if is_score else GRAY)
        if value is None:
            canvas.draw_text((x + width, y), "not available", 18, GRAY, "ra")
        else:
            canvas.draw_text((x + width - 80, y + 3), products.get(label, ""), 14, GRAY, "ra")
            canvas.draw_text((x + width, y), f"{value:+.3f}", 18, TEXT_COLOR, "ra")
            color = RANK_COLORS[rank] if is_score else RANK_TINTS[rank]
            _draw_value_bar(canvas, (x + 180, y + 6, width - 370, 10), value, limits, color)
        y += 28
    return y


def _bar_limits(comparisons: Sequence[ProductExplanation]) -> tuple[float, float]:
    """Return the lowest and the highest value of the bars; 0 lies between them."""
    values = [
        value
        for explanation in comparisons
        for value in score_contributions(explanation).values()
        if value is not None
    ]
    return min(0.0, *values), max(0.0, *values) or 1.0


def _draw_value_bar(
    canvas: Canvas,
    box: tuple[int, int, int, int],
    value: float,
    limits: tuple[float, float],
    color: tuple[int, int, int],
) -> None:
    """Draw a bar from 0 to a value."""
    low, high = limits
    canvas.draw_bar(box, -low / (high - low), (value - low) / (high - low), color)


def score_contributions(explanation: ProductExplanation) -> dict[str, float | None]:
    """Return what each term adds to the score, and the score, by readable labels.

    None means that the term is not available for this pair.
    """
    terms = {
        TERM_LABELS.get(term.name, term.name): term.contribution if term.present else None
        for term in explanation.terms
    }
    return {**terms, **explanation.adjustments, "score": explanation.score}
