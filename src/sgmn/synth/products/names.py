"""Brand names, names of product lines and listing titles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import numpy as np

from sgmn.synth.word_lists import split_words

BRANDS_PER_SHOP = 60

_ONSETS = split_words("b br c d dr f fl g gr h k l m n p pl qu r s st t tr v z")
_VOWELS = split_words("a e i o u ea")
_MIDDLES = split_words("l r n m v d st nd rr ll v sk mb lt rn x th p g z")
_ENDINGS = split_words("a o ia elle ano ix ora en is ette um ona eo ine")
# Random syllables can form these; a shop would not print them.
_UNSUITABLE = split_words(
    "anal anus arse ass cock coon cum dick fag gook hell horn kill kot mort nazi nigg pen pis "
    "poop porn prick rape sex shit slut spic stup tit turd vag wank cunt fuc hitl suic"
)

_LINE_ADJECTIVES = split_words(
    "Morning Silver Golden Wild Little Northern Happy Secret Velvet Crystal Urban Ocean Honest "
    "Royal Simple Bright Quiet Autumn Alpine Lucky Pure Daily Sunny Midnight Rustic Fresh Grand"
)
_LINE_NOUNS = split_words(
    "Field Creek Garden Harvest Moment Story Valley Bloom Spirit Choice Meadow Harbour Breeze "
    "Promise Touch Dream Orchard Trail Craft Roots Season Pearl Journey Haven Grove Charm Spark"
)

_ATTRIBUTE_NOUNS = {
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
def _all_brands(seed: int) -> tuple[str, ...]:
    syllables = list(product(_ONSETS, _VOWELS, _MIDDLES, _ENDINGS))
    order = np.random.default_rng((seed, 11)).permutation(len(syllables))
    names = dict.fromkeys("".join(syllables[i]) for i in order)
    return tuple(n.capitalize() for n in names if not any(part in n for part in _UNSUITABLE))


def shop_brands(seed: int, shop: int) -> tuple[str, ...]:
    """Return the brands of a shop (0..599); no two shops of a seed share a brand."""
    first = shop * BRANDS_PER_SHOP
    return _all_brands(seed)[first : first + BRANDS_PER_SHOP]


def draw_line_name(rng: np.random.Generator) -> str:
    """Draw the name of a product line, such as "Silver Orchard"."""
    return f"{rng.choice(_LINE_ADJECTIVES)} {rng.choice(_LINE_NOUNS)}"


def attribute_phrase(attribute: str, value: str) -> str:
    """Return an attribute in words.

    >>> attribute_phrase("cap", "red"), attribute_phrase("flavour", "mint")
    ('red cap', 'mint')
    """
    noun = _ATTRIBUTE_NOUNS.get(attribute)
    return f"{value} {noun}" if noun else value


def listing_title(
    attributes: Mapping[str, str], stated: tuple[str, ...], rng: np.random.Generator
) -> str:
    """Compose the title of a listing, which states the attributes `stated`.

    Twins pass generators in the same state, so that their titles differ in that attribute only.
    """
    template = _TEMPLATES[rng.integers(len(_TEMPLATES))]
    praise, is_uppercase = rng.choice(_PRAISE), rng.random() < 0.25
    phrases = [attribute_phrase(key, attributes[key]) for key in stated if key != "size"]
    title = template.format(
        brand=attributes["brand"].upper() if is_uppercase else attributes["brand"],
        name=attributes["name"],
        kind=attributes["kind"],
        variety=" ".join(phrases),
        size=attributes.get("size", ""),
        praise=praise,
    )
    return _remove_empty_parts(title)


def _remove_empty_parts(title: str) -> str:
    """Remove the punctuation around template fields that were empty."""
    for old, new in ((" ,", ","), ("()", ""), ("– –", "–"), ("–  –", "–"), ("  ", " ")):
        title = title.replace(old, new)
    title = title.replace("  ", " ").strip(" ,–|")
    return title[0].upper() + title[1:]
