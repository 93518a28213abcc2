"""An article of a shop: what it is called, what it looks like, and whose near-twin it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sgmn.synth.colours import COLOURS, FLAVOURS, PALETTES, SCENTS
from sgmn.synth.labels import Label
from sgmn.synth.mesh import RGB, Solid

ACCENTS: Mapping[str, RGB] = {**COLOURS, **FLAVOURS, **SCENTS}


@dataclass(frozen=True, slots=True)
class Article:
    """One product. `group` names its near-twins, `varies` the one attribute they differ in.

    `look` seeds whatever the line shares: palette, layout, font, proportions. `attributes`
    holds brand, name, kind and the family's own. `price` is in cents.
    """

    product_id: str
    shop_id: str
    group: str
    varies: str
    family: str
    category: str
    title: str
    attributes: Mapping[str, str]
    look: tuple[int, ...]
    price: int

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute]

    def colour(self, attribute: str) -> RGB:
        """The colour that an attribute's word stands for."""
        return ACCENTS[self.attributes[attribute]]

    def draws(self) -> np.random.Generator:
        """Draws that every twin repeats alike."""
        return np.random.default_rng(self.look)


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of solid. `values` are the attributes of its products with what they may be.

    `varies` are those that can set twins apart; `build(article, detail)` makes the solid with
    labels about `detail` pixels high.
    """

    name: str
    category: str
    kinds: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    varies: tuple[str, ...]
    build: Callable[[Article, int], Solid]


def label(article: Article, accent: str, rng: np.random.Generator) -> Label:
    """The label of a packed article; `accent` is the attribute that colours it."""
    palette = PALETTES[rng.integers(len(PALETTES))]
    return Label(
        brand=article["brand"],
        name=article["name"],
        kind=article["kind"],
        variety=article[accent],
        size=article.attributes.get("size", ""),
        emblem=article["emblem"],
        ground=palette[0],
        ink=palette[1],
        second=palette[2],
        accent=article.colour(accent),
        layout=int(rng.integers(64)),
        face=int(rng.integers(64)),
    )


def growth(article: Article, sizes: tuple[str, ...]) -> float:
    """How much taller than the middle size an article is: 0.78, 1 or 1.25 for three sizes."""
    place = sizes.index(article["size"])
    return float(1.25 ** (place - (len(sizes) - 1) / 2))
