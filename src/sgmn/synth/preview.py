"""A contact sheet of a world: near-twins of a shop in rows, and frames of clips below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.synth.plan import videos
from sgmn.synth.products.catalog import build_solid
from sgmn.synth.products.fonts import SMALL_PRINT_FONT, load_font
from sgmn.synth.products.photo import render_photo
from sgmn.synth.products.spec import ProductSpec
from sgmn.synth.settings import WorldSettings
from sgmn.synth.video.frame_renderer import FrameRenderer
from sgmn.synth.video.setup import build_setup

_PHOTO_PX = 150
_PHOTOS_PER_ROW = 5
_GROUP_ROWS = 9  # in each of two columns
_CLIPS, _FRAMES_PER_CLIP = 4, 4
_FRAME_SIZE = (186, 330)
_CAPTION_PX = 16  # height of a line of text


def write_preview(path: Path, settings: WorldSettings) -> None:
    """Write a PNG with products and frames of a world with these settings."""
    parts = [_draw_products(settings), _draw_clips(settings)]
    width = max(part.shape[1] for part in parts)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet = np.concatenate([_fit_width(part, width) for part in parts])
    Image.fromarray(sheet).save(path, "PNG")


def _draw_products(settings: WorldSettings) -> ImageArray:
    """Draw the largest group of near-twins of each family in the first shop, in two columns."""
    rows = [_draw_group(group) for group in _largest_groups(videos.shop_products(settings, 0))]
    half = (len(rows) + 1) // 2
    blank = np.full_like(rows[0], 255)
    rows += [blank] * (2 * half - len(rows))
    return np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)


def _largest_groups(products: Sequence[ProductSpec]) -> list[list[ProductSpec]]:
    groups = [list(group) for _, group in groupby(products, key=lambda product: product.group)]
    by_family: dict[str, list[ProductSpec]] = {}
    for group in sorted(groups, key=len, reverse=True):
        by_family.setdefault(group[0].family, group)
    return list(by_family.values())[: 2 * _GROUP_ROWS]


def _draw_group(group: Sequence[ProductSpec]) -> ImageArray:
    photos = [
        render_photo(build_solid(product, 256), _PHOTO_PX) for product in group[:_PHOTOS_PER_ROW]
    ]
    row = _fit_width(np.concatenate(photos, axis=1), _PHOTOS_PER_ROW * _PHOTO_PX)
    difference = f"{len(group)} differ in {group[0].varies}: " if group[0].varies else ""
    caption = _draw_caption(f"{difference}{group[0].title}", row.shape[1])
    return np.concatenate([row, caption])


def _draw_clips(settings: WorldSettings) -> ImageArray:
    """Draw frames of the first clips of a world with one shop."""
    one_shop = replace(settings, shops=1, train_ratio=1.0, val_ratio=0.0, test_ratio=0.0)
    strips = [_draw_clip(one_shop, number) for number in range(_CLIPS)]
    pairs = [np.concatenate(strips[i : i + 2], axis=1) for i in range(0, _CLIPS, 2)]
    return np.concatenate(pairs)


def _draw_clip(settings: WorldSettings, number: int) -> ImageArray:
    plan = videos.plan_clip(settings, number)
    renderer = FrameRenderer(build_setup(plan, settings))
    times = [p.start + 0.55 * (p.end - p.start) for p in plan.presentations]
    times += [plan.duration_s * fraction for fraction in (0.15, 0.4, 0.6, 0.85)]
    frames = [
        _resize_frame(renderer.render_frame(time, boxes=False).image)
        for time in sorted(times[:_FRAMES_PER_CLIP])
    ]
    strip = np.concatenate(frames, axis=1)
    text = " ".join(utterance.text for utterance in plan.transcript)
    caption = _draw_caption(f"{plan.products[0].title} — “{text}”", strip.shape[1])
    return np.concatenate([strip, caption])


def _resize_frame(image: ImageArray) -> ImageArray:
    return np.asarray(Image.fromarray(image).resize(_FRAME_SIZE, Image.Resampling.LANCZOS))


def _draw_caption(text: str, width: int) -> ImageArray:
    image = Image.new("RGB", (width, _CAPTION_PX), (255, 255, 255))
    font = load_font(SMALL_PRINT_FONT, 11)
    while font.getlength(text) > width - 8:
        text = text[: int(0.96 * len(text)) - 1] + "…"
    ImageDraw.Draw(image).text((4, 1), text, fill=(60, 60, 60), font=font)
    return np.asarray(image)


def _fit_width(image: ImageArray, width: int) -> ImageArray:
    """Crop the image or pad it with white to a width."""
    missing = max(0, width - image.shape[1])
    return np.pad(image[:, :width], ((0, 0), (0, missing), (0, 0)), constant_values=255)
