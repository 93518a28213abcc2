"""Decode the content of records: frames and text of a clip, images and text of a product."""

from __future__ import annotations

from sgmn.media.clips import read_clip_frames
from sgmn.media.image import read_image
from sgmn.product_text import DEFAULT_TEXT_FIELDS, TextFields, build_product_text
from sgmn.records import Clip, ClipContent, Product, ProductContent


def load_clip_content(
    clip: Clip,
    *,
    max_frames: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> ClipContent:
    """Decode at most `max_frames` frames of a clip, uint8 RGB (H, W, 3), and its whole text.

    Arguments and errors are those of `clips.read_clip_frames`.
    """
    frames = read_clip_frames(
        clip, max_frames=max_frames, rate_hz=rate_hz, max_side=max_side, damage=damage
    )
    return ClipContent(frames, clip.text)


def load_product_content(
    product: Product,
    *,
    max_side: int | None = None,
    text_fields: TextFields = DEFAULT_TEXT_FIELDS,
) -> ProductContent:
    """Decode all images of a product, uint8 RGB (H, W, 3), main image first, and build its text.

    A product without images is valid. Raises MediaError for the first image that cannot be read.
    """
    images = tuple(read_image(path, max_side) for path in product.image_paths)
    return ProductContent(images, build_product_text(product, text_fields))
