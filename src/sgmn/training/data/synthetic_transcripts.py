"""What a salesperson might say of a product, made from its title, its category and sayings.

Only photos come without words; their clips get a transcript that greets, praises, may name
another product, and mostly leaves the variety or the brand unsaid, as real ones do.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from sgmn import jsonl
from sgmn.errors import RecordError
from sgmn.records import Product
from sgmn.training.data.phrases import SLOT, Phrases

T = TypeVar("T")

BUILT_IN = Phrases()
SOUNDS = ("uh", "um", "you know", "like", "okay")

# How much of the name is said: all its words, the category only, or nothing at all.
FULL, CATEGORY = 0.25, 0.45
TOLD = 0.7  # how often something is told of the product, where anything is known
Key = tuple[str, str]  # shop_id, product_id


def transcript(
    product: Product,
    others: Sequence[Product],
    told: Sequence[str],
    rng: np.random.Generator,
    phrases: Phrases = BUILT_IN,
) -> str:
    """Words said of `product`; `others` may be named beside it, `told` are sayings about it."""
    parts = [_one(phrases.openings, rng)]
    name = _name(product, phrases, rng)
    if name:
        parts.append(name)
    if told and rng.random() < TOLD:
        parts.append(_one(told, rng))
    if others and rng.random() < 0.3:
        named = _one(others, rng)
        name = (named.category if named.category and rng.random() < 0.5 else named.title).lower()
        parts.append(_one(phrases.others, rng).replace(SLOT, name))
    parts += [_one(phrases.fillings, rng) for _ in range(rng.integers(0, 3))]
    head, rest = parts[0], parts[1:]
    return " ".join([head, *(rest[i] for i in rng.permutation(len(rest)))])


def _name(product: Product, phrases: Phrases, rng: np.random.Generator) -> str:
    """The product named by its title or its category, or not at all."""
    luck = rng.random()
    if luck < FULL:
        name, kinds = product.title, phrases.namings
    else:
        name = product.category if luck < FULL + CATEGORY else ""
        kinds = phrases.categories or phrases.namings
    return _one(kinds, rng).replace(SLOT, name.lower()) if name else ""


def worn(words: str, drop: float, rng: np.random.Generator) -> str:
    """Words as speech recognition leaves them: some dropped, some hesitation in between."""
    heard: list[str] = []
    for word in words.split():
        if rng.random() >= drop:
            heard.append(word)
        if rng.random() < drop / 3:
            heard.append(_one(SOUNDS, rng))
    return " ".join(heard)


def _one(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]


def sayings(paths: Iterable[Path], known: Container[Key]) -> dict[Key, tuple[str, ...]]:
    """What is told of products: lines of {"product_id", "told": [...]} and perhaps "shop_id".

    Raises RecordError for a product that is not `known`.
    """
    found: dict[Key, tuple[str, ...]] = {}
    for path in paths:
        for where, line in jsonl.numbered(path):
            fields = jsonl.parse(line, where)
            key = fields.text("shop_id", ""), fields.text("product_id")
            if key not in known:
                raise RecordError(
                    f"product {key[1]!r} is not among those to learn from", where, "leave it out"
                )
            found[key] = found.get(key, ()) + fields.texts("told")
    return found
