"""Brands, names of lines, and titles as shops write them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import numpy as np

from sgmn.synth.word_lists import listed

BRANDS_PER_SHOP = 60

_ONSETS = listed("b br c d dr f fl g gr h k l m n p pl qu r s st t tr v z")
_VOWELS = listed("a e i o u ea")
_MIDDLES = listed("l r n m v d st nd rr ll v sk mb lt rn x th p g z")
_ENDINGS = listed("a o ia elle ano ix ora en is ette um ona eo ine")
# Syllables meet by chance; a shop would not print these.
_UNFIT = listed(
    "anal anus arse ass cock coon cum dick fag gook hell horn kill kot mort nazi nigg pen pis "
    "poop porn prick rape sex shit slut spic stup tit turd vag wank cunt fuc hitl suic"
)

_FIRST = listed(
    "Morning Silver Golden Wild Little Northern Happy Secret Velvet Crystal Urban Ocean Honest "
    "Royal Simple Bright Quiet Autumn Alpine Lucky Pure Daily Sunny Midnight Rustic Fresh Grand"
)
_SECOND = listed(
    "Field Creek Garden Harvest Moment Story Valley Bloom Spirit Choice Meadow Harbour Breeze "
    "Promise Touch Dream Orchard Trail Craft Roots Season Pearl Journey Haven Grove Charm Spark"
)

_NOUNS = {
    "cap": "cap",
    "emblem": "logo",
    "handle": "handle",
    "strap": "strap",
    "foot": "base",
    "sole": "sole",
    "brim": "brim",
    "scarf": "scarf",
    "piping": "piping",
    "band": "band",
    "clip": "clip",
}
_PRAISE = (
    "new",
    "free delivery",
    "gift idea",
    "original",
    "best seller",
    "2025 edition",
    "live price",
    "official store",
    "limited offer",
)
_TEMPLATES = (
    "{brand} {name} {kind} {variety}, {size}",
    "{brand} {name} {variety} {kind} {size}",
    "[{brand}] {kind} {name} – {variety} {size}",
    "{kind} {variety} {size} | {brand} {name}",
    "{brand} {kind} “{name}” {size} ({variety})",
    "{praise}: {brand} {name} {kind}, {variety} {size}",
    "{brand} {name} – {variety} – {kind} {size} {praise}",
)


@cache
def _brands(seed: int) -> tuple[str, ...]:
    parts = list(product(_ONSETS, _VOWELS, _MIDDLES, _ENDINGS))
    order = np.random.default_rng((seed, 11)).permutation(len(parts))
    names = dict.fromkeys("".join(parts[i]) for i in order)
    return tuple(n.capitalize() for n in names if not any(word in n for word in _UNFIT))


def brands(seed: int, shop: int) -> tuple[str, ...]:
    """The brands of a shop; no two shops of a seed share one (shop < 600)."""
    first = shop * BRANDS_PER_SHOP
    return _brands(seed)[first : first + BRANDS_PER_SHOP]


def line(rng: np.random.Generator) -> str:
    """What a brand calls a line of products, such as "Silver Orchard"."""
    return f"{rng.choice(_FIRST)} {rng.choice(_SECOND)}"


def phrase(attribute: str, value: str) -> str:
    """An attribute in words: ("cap", "red") is "red cap", ("flavour", "mint") is "mint"."""
    noun = _NOUNS.get(attribute)
    return f"{value} {noun}" if noun else value


def title(attributes: Mapping[str, str], said: tuple[str, ...], rng: np.random.Generator) -> str:
    """A listing's title that says the attributes `said`; twins give draws in the same state."""
    template = _TEMPLATES[rng.integers(len(_TEMPLATES))]
    praise, shout = rng.choice(_PRAISE), rng.random() < 0.25
    words = template.format(
        brand=attributes["brand"].upper() if shout else attributes["brand"],
        name=attributes["name"],
        kind=attributes["kind"],
        variety=" ".join(phrase(key, attributes[key]) for key in said if key != "size"),
        size=attributes.get("size", ""),
        praise=praise,
    )
    return _tidy(words)


def _tidy(words: str) -> str:
    for wrong, right in ((" ,", ","), ("()", ""), ("– –", "–"), ("–  –", "–"), ("  ", " ")):
        words = words.replace(wrong, right)
    words = words.replace("  ", " ").strip(" ,–|")
    return words[0].upper() + words[1:]
