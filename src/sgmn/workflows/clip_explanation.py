"""Explain why a clip gets its product, with the images that illustrate it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from sgmn.catalogue.index import Index
from sgmn.errors import MediaError
from sgmn.media import content_loader
from sgmn.media.clips import read_timed_clip_frames
from sgmn.media.frame import Frame
from sgmn.model import explanation
from sgmn.model.explanation import Explanation
from sgmn.product_text import TextFields, build_product_text
from sgmn.records import Clip, ClipContent, ImageArray, Product, ProductContent
from sgmn.report.illustration import IllustratedExplanation, IllustratedProduct
from sgmn.workflows.evaluation import MAX_FRAMES

EXPLAINED_PRODUCTS, ILLUSTRATED_PRODUCTS = 3, 2  # best first
FRAME_RATE_HZ = 1.0
ILLUSTRATION_SIDE = 480  # pixels; the model may see less


@dataclass(frozen=True, eq=False)
class ExplainedClip:
    """The explanation of a clip.

    ranking: all product ids of the shelf, best first. products: the explained ones, in the
    order of `explanation.products`. damage: what could not be read, a line each.
    """

    explanation: Explanation
    illustration: IllustratedExplanation
    products: tuple[Product, ...]
    ranking: tuple[str, ...]
    damage: tuple[str, ...]


def explain_clip(clip: Clip, index: Index, shop_id: str) -> ExplainedClip:
    """Rank a shop's products for a clip as `evaluation` does, and explain the best ones.

    Raises MediaError if the clip cannot be read, IndexingError if the shop has no products.
    """
    damage: list[str] = []
    embedder, shelf = index.embedder, index.shelf(shop_id)
    frames = read_timed_clip_frames(clip, MAX_FRAMES, FRAME_RATE_HZ, embedder.max_side, damage)
    content = ClipContent(tuple(frame.rgb for frame in frames), clip.text)
    ranked = shelf.rank(embedder.encode_clips([content]), embedder.ranker, len(shelf))[0]
    rows = [row for row, _ in ranked[:EXPLAINED_PRODUCTS]]
    products = tuple(shelf.products[row] for row in rows)
    contents = _read_products(products, index, damage)
    explained = explanation.explain(
        embedder, content, shelf.vectors, dict(zip(rows, contents, strict=True))
    )
    return ExplainedClip(
        explained,
        _illustrate(clip, frames, explained, products, contents),
        products,
        tuple(shelf.product_ids[row] for row, _ in ranked),
        tuple(damage),
    )


def _read_products(
    products: Sequence[Product], index: Index, damage: list[str]
) -> list[ProductContent]:
    """Read the images of products, or their thumbnails where the images are gone."""
    thumbnails, text = index.thumbnails(products[0].shop_id), index.stamp.text_fields
    return [_read_product(p, text, thumbnails.get(p.product_id), damage) for p in products]


def _read_product(
    product: Product, text_fields: TextFields, thumbnail: bytes | None, damage: list[str]
) -> ProductContent:
    try:
        return content_loader.load_product_content(
            product, max_side=ILLUSTRATION_SIDE, text_fields=text_fields
        )
    except MediaError as error:
        damage.append(f"{error.where}: {error.message}; showing the thumbnail of the index instead")
    images = () if thumbnail is None else (_decode_jpeg(thumbnail),)
    return ProductContent(images, build_product_text(product, text_fields))


def _decode_jpeg(jpeg: bytes) -> ImageArray:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.array(image.convert("RGB"))


def _illustrate(
    clip: Clip,
    frames: Sequence[Frame],
    explained: Explanation,
    products: Sequence[Product],
    contents: Sequence[ProductContent],
) -> IllustratedExplanation:
    """Add larger frames and product images to an explanation."""
    times = tuple(frame.time_s for frame in frames)
    last_frame_s = times[-1] - times[-2] if len(times) > 1 else 1.0
    end_s = times[-1] + last_frame_s
    illustrated = [
        IllustratedProduct(product.product_id, product.title, content.images)
        for product, content in zip(products, contents, strict=True)
    ]
    larger = read_timed_clip_frames(clip, MAX_FRAMES, FRAME_RATE_HZ, ILLUSTRATION_SIDE, damage=[])
    return IllustratedExplanation(
        clip.clip_id,
        times,
        end_s if clip.end is None else min(clip.end, end_s),
        tuple(frame.rgb for frame in larger),
        replace(explained, products=explained.products[:ILLUSTRATED_PRODUCTS]),
        tuple(illustrated[:ILLUSTRATED_PRODUCTS]),
    )
