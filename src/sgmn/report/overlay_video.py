"""An explanation as a video of its clip: each frame with its heatmap, words and scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from sgmn.report.canvas import GAP, GRAY, TEXT_COLOR, TRACK_COLOR, Box, Canvas, fit_size
from sgmn.report.formatting import format_percent, format_time
from sgmn.report.heatmap_overlay import overlay_heatmap
from sgmn.report.illustration import (
    RANK_COLORS,
    RANK_LABELS,
    IllustratedExplanation,
    draw_legend,
    draw_product_image,
    draw_transcript,
)
from sgmn.report.text_layout import truncate_text

if TYPE_CHECKING:
    from sgmn.model.explanation import AttentionMap

VIDEO_SIZE = (1280, 720)  # width and height in pixels
FRAME_RATE_HZ = Fraction(5)
TimedImage = tuple[Image.Image, float]  # an image and its duration in seconds


def write_overlay_video(illustration: IllustratedExplanation, path: Path) -> None:
    """Write the video as MP4. The file appears whole or not at all. Raises OSError."""
    partial_path = path.with_name(f".{path.name}.part")
    try:
        _encode(draw_frames(illustration), partial_path)
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)


def _encode(images: Iterable[TimedImage], path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = *VIDEO_SIZE, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "20"}
        end_s, count = 0.0, 0
        for image, duration_s in images:
            end_s += duration_s
            frame = av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")
            while count < round(end_s * FRAME_RATE_HZ):
                frame.pts, frame.time_base = count, 1 / FRAME_RATE_HZ
                container.mux(stream.encode(frame))
                count += 1
        container.mux(stream.encode(None))


def draw_frames(illustration: IllustratedExplanation) -> Iterator[TimedImage]:
    """Yield an image of 1280 by 720 pixels for each frame of the clip, and its duration."""
    ends_s = [*illustration.times_s[1:], illustration.end_s]
    spans_s = zip(illustration.times_s, ends_s, strict=True)
    for index, (start_s, end_s) in enumerate(spans_s):
        yield _draw_frame(illustration, index), max(end_s - start_s, float(1 / FRAME_RATE_HZ))


def _draw_frame(illustration: IllustratedExplanation, index: int) -> Image.Image:
    """Draw one frame of the clip, and beside it the words and both products."""
    canvas, explanation = Canvas(*VIDEO_SIZE), illustration.explanation
    frame = illustration.frames[index]
    size = fit_size(frame, VIDEO_SIZE[0] // 2, VIDEO_SIZE[1])
    image = overlay_heatmap(frame, explanation.frames[index].heatmap, size)
    canvas.image.paste(image, (0, (VIDEO_SIZE[1] - size[1]) // 2))
    x, width = size[0] + 2 * GAP, VIDEO_SIZE[0] - size[0] - 4 * GAP
    canvas.draw_text((x, GAP), format_time(illustration.times_s[index]), 26)
    name = truncate_text(illustration.name, 18, width - 120)
    canvas.draw_text((x + width, GAP + 8), name, 18, GRAY, "ra")
    _draw_frame_weights(canvas, explanation.frames, index, (x, 66, width, 60))
    draw_transcript(canvas, explanation.words, (x, 160, width, 190), 30)
    for rank in range(len(illustration.products)):
        _draw_product(canvas, illustration, rank, index, (x, 376 + rank * 150, width))
    draw_legend(canvas, explanation.has_guidance, (x, VIDEO_SIZE[1] - GAP - 18, width))
    return canvas.image


def _draw_frame_weights(
    canvas: Canvas, maps: Sequence[AttentionMap], current: int, box: Box
) -> None:
    """Draw the weight of each frame as a column; that of the current frame is dark."""
    x, y, width, height = box
    max_weight, step = max(attention.weight for attention in maps) or 1.0, width / len(maps)
    for index, attention in enumerate(maps):
        left = x + round(index * step)
        right = max(left, x + round((index + 1) * step) - 4)
        column_height = max(2, round(height * attention.weight / max_weight))
        color = RANK_COLORS[0] if index == current else TRACK_COLOR
        canvas.draw.rectangle((left, y + height - column_height, right, y + height), color)
    label = f"weight {format_percent(maps[current].weight)}"
    canvas.draw_text((x, y + height + 6), label, 14, GRAY)


def _draw_product(
    canvas: Canvas,
    illustration: IllustratedExplanation,
    rank: int,
    index: int,
    position: tuple[int, int, int],
) -> None:
    """Draw a product with its similarity to this frame alone, and its score."""
    x, y, width = position
    comparisons, product = illustration.explanation.products, illustration.products[rank]
    explanation, side = comparisons[rank], 130
    draw_product_image(canvas, product, explanation, (x, y, side, side))
    left, room = x + side + GAP, width - side - GAP
    title = f"{RANK_LABELS[rank]}: {product.title or product.product_id}"
    canvas.draw_text((left, y), truncate_text(title, 18, room), 18)
    frame_score = explanation.frame_similarities[index] if explanation.frame_similarities else None
    frame_scores = [value for compared in comparisons for value in compared.frame_similarities]
    scores = [compared.score for compared in comparisons]
    rows = ("this frame", frame_score, frame_scores), ("score", explanation.score, scores)
    for number, (label, value, all_values) in enumerate(rows):
        top = y + 40 + 38 * number
        canvas.draw_text((left, top), label, 18, GRAY)
        if value is not None:
            share = max(value, 0.0) / (max([*all_values, 0.0]) or 1.0)
            canvas.draw_bar((left + 110, top + 5, room - 190, 10), 0, share, RANK_COLORS[rank])
            canvas.draw_text((left + room, top), f"{value:.3f}", 18, TEXT_COLOR, "ra")
