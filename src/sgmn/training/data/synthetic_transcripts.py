"""Synthetic transcripts for photos, made of a product's title, category and talking points.

Photos have no transcript of their own. As real salespeople do, a synthetic transcript greets,
praises, may mention another product, and usually leaves the variety or the brand unsaid.
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
HESITATIONS = ("uh", "um", "you know", "like", "okay")

# The product is named by its title, by its category, or not at all.
FULL_NAME_PROB, CATEGORY_PROB = 0.25, 0.45
TALKING_POINT_PROB = 0.7  # of products that have talking points
OTHER_PRODUCT_PROB = 0.3  # of clips that show other products
OTHER_BY_CATEGORY_PROB = 0.5  # the others are named by their title
Key = tuple[str, str]  # shop_id, product_id


def compose_transcript(
    product: Product,
    others: Sequence[Product],
    talking_points: Sequence[str],
    rng: np.random.Generator,
    phrases: Phrases = BUILT_IN,
) -> str:
    """Compose what a salesperson might say while selling a product.

    Args:
        product: the product on sale.
        others: products that may be mentioned as well.
        talking_points: sentences about the product; one of them may be used.
        rng: source of all random choices.
        phrases: phrases around them.
    """
    opening = _choose(phrases.openings, rng)
    parts = []
    mention = _mention(product, phrases, rng)
    if mention:
        parts.append(mention)
    if talking_points and rng.random() < TALKING_POINT_PROB:
        parts.append(_choose(talking_points, rng))
    if others and rng.random() < OTHER_PRODUCT_PROB:
        parts.append(_mention_other(_choose(others, rng), phrases, rng))
    parts += [_choose(phrases.fillers, rng) for _ in range(rng.integers(0, 3))]
    return " ".join([opening, *(parts[i] for i in rng.permutation(len(parts)))])


def _mention(product: Product, phrases: Phrases, rng: np.random.Generator) -> str:
    """Name the product by its title or its category, or return "" to leave it unnamed."""
    draw = rng.random()
    if draw < FULL_NAME_PROB:
        name, templates = product.title, phrases.product_mentions
    else:
        name = product.category if draw < FULL_NAME_PROB + CATEGORY_PROB else ""
        templates = phrases.category_mentions or phrases.product_mentions
    return _choose(templates, rng).replace(SLOT, name.lower()) if name else ""


def _mention_other(other: Product, phrases: Phrases, rng: np.random.Generator) -> str:
    by_category = other.category and rng.random() < OTHER_BY_CATEGORY_PROB
    name = (other.category if by_category else other.title).lower()
    return _choose(phrases.other_product_mentions, rng).replace(SLOT, name)


def add_recognition_errors(text: str, drop_prob: float, rng: np.random.Generator) -> str:
    """Drop words and insert hesitations, as speech recognition does.

    A word is dropped with `drop_prob`; a hesitation follows it with a third of `drop_prob`.
    """
    words: list[str] = []
    for word in text.split():
        if rng.random() >= drop_prob:
            words.append(word)
        if rng.random() < drop_prob / 3:
            words.append(_choose(HESITATIONS, rng))
    return " ".join(words)


def _choose(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]


def load_talking_points(
    paths: Iterable[Path], listed: Container[Key]
) -> dict[Key, tuple[str, ...]]:
    """Load sentences about products from JSONL files.

    A line is `{"product_id": ..., "talking_points": [...]}` with an optional "shop_id". Raises
    RecordError for a product that is not `listed`.
    """
    points: dict[Key, tuple[str, ...]] = {}
    for path in paths:
        for where, line in jsonl.read_lines(path):
            fields = jsonl.parse_object(line, where)
            key = fields.get_text("shop_id", ""), fields.get_text("product_id")
            if key not in listed:
                raise RecordError(
                    f"product {key[1]!r} is not in the training data", where, "remove the line"
                )
            points[key] = points.get(key, ()) + fields.get_texts("talking_points")
    return points
