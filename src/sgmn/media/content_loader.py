"""Records to what they show and say, decoded."""

from __future__ import annotations

from sgmn.media import clips, image
from sgmn.records import Clip, ClipContent, Product, ProductContent


def load_clip_content(
    clip: Clip,
    *,
    max_frames: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> ClipContent:
    """Decode a clip: at most `max_frames` frames, RGB (H, W, 3), and all its words.

    The arguments and errors are those of `clips.clip_frames`.
    """
    frames = clips.read_clip_frames(
        clip, max_frames=max_frames, rate_hz=rate_hz, max_side=max_side, damage=damage
    )
    return ClipContent(frames, clip.text)


def load_product_content(product: Product, *, max_side: int | None = None) -> ProductContent:
    """Decode a listing: every view, RGB (H, W, 3), main view first, and its title.

    Raises MediaError for the first view that cannot be read; a title alone is enough.
    """
    views = tuple(image.read_image(path, max_side) for path in product.image_paths)
    return ProductContent(views, product.title)
