"""Composes timed transcripts of composed clips, as a speech recognizer would return them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from sgmn.records import Product, Utterance
from sgmn.training.data.phrases import SLOT, Phrases
from sgmn.training.data.synthetic_transcripts import add_recognition_errors

T = TypeVar("T")

TALK_S = 10.0  # of speech between two greetings
WORD_S, MIN_UTTERANCE_S = 0.28, 0.3  # an utterance takes the second plus the first for each word
PAUSE_S = (0.05, 0.4)
DROP_PROB = (0.0, 0.2)  # of a word; drawn for each talk
# The product on sale is mentioned, then mostly by its category: its variety or brand is unsaid.
MENTION_PROB, FULL_NAME_PROB = 0.75, 0.1
OTHER_PRODUCT_PROB = 0.3  # that another product is named, by its title
SENTENCE_WORDS = (4, 24)  # of a description that are spoken, at least and at most

# Other phrases than those that training uses by default, so that a score measures more than how
# well a model has learned the latter.
PHRASES = Phrases(
    openings=(
        "welcome in everyone good to see you",
        "hi there come and have a look",
        "now let us go on with the next one",
        "are you all here then we can start",
        "look what i have got in my hand",
        "so good evening and stay a little",
    ),
    product_mentions=(
        "i am holding {name} now",
        "this one is {name} by the way",
        "you wanted to see {name}",
        "for those who just came in we are at {name}",
    ),
    other_product_mentions=(
        "{name} was a moment ago",
        "i will show {name} after this",
        "somebody wrote about {name} just wait",
        "do not mix it up with {name}",
        "if you took {name} last time",
    ),
    fillers=(
        "i put the link below",
        "only a handful of these are left",
        "tell me if you can not see it",
        "i will bring it nearer to the lens",
        "delivery is on us until midnight",
        "my children ask for it all the time",
        "thanks for all the hearts",
    ),
)


def compose_utterances(
    product: Product,
    others: Sequence[Product],
    sentences: Sequence[str],
    duration_s: float,
    rng: np.random.Generator,
) -> Iterator[Utterance]:
    """Compose what is said while a product is on sale.

    Args:
        product: The product on sale.
        others: Products that may be mentioned as well.
        sentences: Sentences about the product, see `spoken_sentences`; one is used in each talk.
        duration_s: Nothing is said after this time, in seconds.
        rng: Source of all random choices.
    """
    for start_s in np.arange(0, duration_s, TALK_S):
        talk = _compose_talk(product, others, sentences, rng)
        drop_prob = rng.uniform(*DROP_PROB)
        texts = [add_recognition_errors(sentence, drop_prob, rng) for sentence in talk]
        yield from _schedule(texts, start_s, min(start_s + TALK_S, duration_s), rng)


def _compose_talk(
    product: Product, others: Sequence[Product], sentences: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Greet, speak of the product, and fill the time that is left."""
    parts = [_choose(sentences, rng)] if sentences else []
    if rng.random() < MENTION_PROB:
        full = not product.category or rng.random() < FULL_NAME_PROB
        name = product.title if full else product.category
        parts.append(_fill_slot(_choose(PHRASES.product_mentions, rng), name))
    if others and rng.random() < OTHER_PRODUCT_PROB:
        other = _choose(others, rng)
        parts.append(_fill_slot(_choose(PHRASES.other_product_mentions, rng), other.title))
    fillers = [PHRASES.fillers[i] for i in rng.permutation(len(PHRASES.fillers))[:2]]
    opening = _choose(PHRASES.openings, rng)
    return [opening, *(parts[i] for i in rng.permutation(len(parts))), *fillers]


def _fill_slot(phrase: str, name: str) -> str:
    return phrase.replace(SLOT, name.lower())


def _choose(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]


def _schedule(
    texts: Sequence[str], start_s: float, end_s: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    """Yield one text after another; what does not fit before the end is left out."""
    now_s = start_s
    for text in texts:
        now_s += rng.uniform(*PAUSE_S)
        room = int((end_s - now_s - MIN_UTTERANCE_S) / WORD_S)
        words = text.split()[: max(room, 0)]
        if words:
            until_s = now_s + MIN_UTTERANCE_S + WORD_S * len(words)
            yield Utterance(round(now_s, 2), round(min(until_s, end_s), 2), " ".join(words))
            now_s = until_s


def spoken_sentences(description: str, product: Product) -> tuple[str, ...]:
    """Split a description into sentences as they are spoken, without the product's name.

    >>> lime = Product("p1", "Persian Lime", category="Lime")
    >>> spoken_sentences("Persian Lime is sour, and green. Nice!", lime)
    ('this lime is sour and green',)
    """
    least, most = SENTENCE_WORDS
    sentences = []
    for sentence in re.split(r"(?<=[.!?])\s+", description):
        words = re.sub(r"[^\w\s%'-]", "", sentence.lower()).split()
        if least <= len(words):
            sentences.append(_hide_name(words[:most], product))
    return tuple(sentences)


def _hide_name(words: Sequence[str], product: Product) -> str:
    """Replace the words of the title that the category lacks, such as a brand, by "this"."""
    name = {*product.title.lower().split()} - {*product.category.lower().split()}
    spoken: list[str] = []
    for word in words:
        replacement = "this" if word in name else word
        if not (replacement == "this" and spoken[-1:] == ["this"]):
            spoken.append(replacement)
    return " ".join(spoken)
