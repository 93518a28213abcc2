"""Specifications of generated products and of the families that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sgmn.synth.graphics.mesh import RGB, Solid
from sgmn.synth.products.colors import COLORS, FLAVORS, PALETTES, SCENTS
from sgmn.synth.products.labels import Label

_COLOR_OF_VALUE: Mapping[str, RGB] = {**COLORS, **FLAVORS, **SCENTS}


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """One product of a generated shop, from which its photos and its 3-D shape are made.

    Products with the same `group` are near-twins: they differ only in the attribute `varies`.
    `design_seed` seeds all that twins share: palette, layout, font and proportions.
    `attributes` holds brand, name, kind and the attributes of the family. `price` is in cents.
    """

    product_id: str
    shop_id: str
    group: str
    varies: str
    family: str
    category: str
    title: str
    attributes: Mapping[str, str]
    design_seed: tuple[int, ...]
    price: int

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute]

    def color(self, attribute: str) -> RGB:
        """Return the color that the value of an attribute stands for."""
        return _COLOR_OF_VALUE[self.attributes[attribute]]

    def design_rng(self) -> np.random.Generator:
        """Return a new generator that yields the same numbers for all twins."""
        return np.random.default_rng(self.design_seed)


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of product with its own 3-D shape.

    `values` maps each attribute of the family to its possible values; `varies` names the
    attributes that can distinguish twins. `build(product, texture_px)` builds the solid with
    textures about `texture_px` pixels high.
    """

    name: str
    category: str
    kinds: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    varies: tuple[str, ...]
    build: Callable[[ProductSpec, int], Solid]


def design_label(product: ProductSpec, accent: str, rng: np.random.Generator) -> Label:
    """Design the label of a packaged product; `accent` names the attribute that colors it."""
    palette = PALETTES[rng.integers(len(PALETTES))]
    return Label(
        brand=product["brand"],
        name=product["name"],
        kind=product["kind"],
        variety=product[accent],
        size=product.attributes.get("size", ""),
        emblem=product["emblem"],
        background=palette[0],
        ink=palette[1],
        secondary=palette[2],
        accent=product.color(accent),
        layout=int(rng.integers(64)),
        font=int(rng.integers(64)),
    )


def size_factor(product: ProductSpec, sizes: tuple[str, ...]) -> float:
    """Return the height relative to the middle size: about 0.8, 1 or 1.25 for three sizes."""
    position = sizes.index(product["size"])
    return float(1.25 ** (position - (len(sizes) - 1) / 2))
