"""Patterned surfaces of products without a printed label, with a badge for emblem and brand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import RGB, Solid
from sgmn.synth.products.colors import COLORS, brightness_difference, mix_colors, readable_ink
from sgmn.synth.products.emblems import EMBLEMS, draw_emblem
from sgmn.synth.products.fonts import FONTS, load_font
from sgmn.synth.products.patterns import PATTERNS, pattern_texture
from sgmn.synth.products.spec import Family, ProductSpec

_COLORS, _EMBLEMS, _PATTERNS = tuple(COLORS), tuple(EMBLEMS), tuple(PATTERNS)


def fabric_family(
    name: str,
    category: str,
    kinds: tuple[str, ...],
    detail: str,
    build: Callable[[ProductSpec, int], Solid],
    *,
    varies: tuple[str, ...] = (),
) -> Family:
    """Define a family with a color, a pattern, an emblem and one colored `detail`.

    Twins differ in one of these attributes, or in one of `varies` if it is given.
    """
    # The spelling "colour" is part of generated datasets.
    values = {"colour": _COLORS, "pattern": _PATTERNS, "emblem": _EMBLEMS, detail: _COLORS}
    return Family(name, category, kinds, values, varies or tuple(values), build)


def fabric_texture(
    product: ProductSpec, rng: np.random.Generator, size_px: int, repeats: int = 7
) -> ImageArray:
    """Draw a square swatch of the product's pattern, at least 64 pixels wide."""
    color = product.color("colour")
    second = mix_colors(_contrasting_color(color, rng), (250, 250, 250), 0.3)
    return pattern_texture(product["pattern"], color, second, max(64, size_px), repeats)


def add_badge(
    product: ProductSpec, texture: ImageArray, font: int, size: float = 0.3
) -> ImageArray:
    """Draw a round badge with emblem and brand in the middle of a texture.

    `font` is an index that may exceed the number of fonts; `size` is the badge's radius as a
    fraction of the shorter side.
    """
    image = Image.fromarray(texture).resize((2 * texture.shape[1], 2 * texture.shape[0]))
    canvas, (w, h) = ImageDraw.Draw(image), image.size
    color = product.color("colour")
    ink = readable_ink(color)
    r = size * min(w, h)
    canvas.ellipse((w / 2 - r, h / 2 - r, w / 2 + r, h / 2 + r), fill=color, outline=ink, width=4)
    draw_emblem(canvas, product["emblem"], (w / 2, h / 2 - 0.2 * r), 0.48 * r, ink, color)
    brand_font = load_font(FONTS[font % len(FONTS)], max(8, int(0.3 * r)))
    center = (w / 2, h / 2 + 0.58 * r)
    canvas.text(center, product["brand"], fill=ink, font=brand_font, anchor="mm")
    return np.asarray(image.reduce(2))


def _contrasting_color(color: RGB, rng: np.random.Generator) -> RGB:
    """Choose a second color that stands out from the first; twins draw the same candidates."""
    order = rng.permutation(len(COLORS))
    candidates = [COLORS[_COLORS[i]] for i in order]
    return max(candidates[:4], key=lambda other: brightness_difference(color, other))
