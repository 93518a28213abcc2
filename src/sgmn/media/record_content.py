"""Records to what they show and say, decoded."""

from __future__ import annotations

from sgmn.media import clips, image
from sgmn.records import Clip, ClipContent, Product, ProductContent


def clip_content(
    clip: Clip,
    *,
    wanted: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> ClipContent:
    """Decode a clip: at most `wanted` frames, RGB (H, W, 3), and all its words.

    The arguments and errors are those of `clips.clip_frames`.
    """
    frames = clips.clip_frames(
        clip, wanted=wanted, rate_hz=rate_hz, max_side=max_side, damage=damage
    )
    return ClipContent(frames, clip.words)


def product_content(product: Product, *, max_side: int | None = None) -> ProductContent:
    """Decode a listing: every view, RGB (H, W, 3), main view first, and its title.

    Raises MediaError for the first view that cannot be read; a title alone is enough.
    """
    views = tuple(image.read(path, max_side) for path in product.pictures)
    return ProductContent(views, product.title)
