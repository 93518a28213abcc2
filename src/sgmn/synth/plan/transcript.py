"""The timed transcript of a presenter, as a speech recognizer would write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sgmn.records import Utterance
from sgmn.synth.plan import phrases
from sgmn.synth.plan.asr_errors import add_asr_errors
from sgmn.synth.plan.prices import price_in_words
from sgmn.synth.products.names import attribute_phrase
from sgmn.synth.products.spec import ProductSpec
from sgmn.synth.word_lists import split_words

_WORDS_PER_S = (2.3, 3.4)
_PAUSE_S = (0.15, 1.6)
_MERGED_CUE_S = 9.0  # a merged cue stays shorter than this
_GENERAL_SENTENCES = (  # with their weights
    (phrases.HANDLING, 4.0),
    (phrases.PRAISE, 4.0),
    (phrases.PRICES, 2.5),
    (phrases.CALLS_TO_ACTION, 2.0),
    (phrases.KINDS, 1.2),
    (phrases.SMALL_TALK, 0.6),
)


@dataclass(frozen=True, slots=True)
class SpeechStyle:
    """How a presenter talks and how well the speech is recognized. All values are in 0..1.

    `naming_prob` is the chance that a sentence identifies the product by its variety, brand or
    name; `comparison_prob` the chance that it is about another product. `asr_error_level` is the
    strength of the recognizer's errors.
    """

    naming_prob: float
    comparison_prob: float
    asr_error_level: float


def generate_transcript(
    start: float,
    end: float,
    product: ProductSpec | None,
    others: Sequence[ProductSpec],
    style: SpeechStyle,
    rng: np.random.Generator,
    *,
    greet: bool = False,
) -> list[Utterance]:
    """Generate the utterances from `start` to `end` (seconds) while `product` is on sale.

    `product` is None while nothing is on sale. Comparisons mention one of `others`. With `greet`
    the first sentence is a greeting.
    """
    words_per_s, time = rng.uniform(*_WORDS_PER_S), start + float(rng.uniform(0.1, 1.2))
    cues: list[Utterance] = []
    for sentence in _sentences(product, others, style, rng, greet=greet):
        text = add_asr_errors(sentence, style.asr_error_level, rng)
        length = max(0.5, len(text.split()) / words_per_s)
        if time + length > end - 0.05:
            break
        if text:
            cues.append(Utterance(round(time, 2), round(time + length, 2), text))
        time += length + float(rng.uniform(*_PAUSE_S))
    return _merge_cues(cues, style.asr_error_level, rng)


def _sentences(
    product: ProductSpec | None,
    others: Sequence[ProductSpec],
    style: SpeechStyle,
    rng: np.random.Generator,
    *,
    greet: bool,
) -> Iterator[str]:
    """Yield sentences without end."""
    if greet:
        yield _fill_template(rng.choice(phrases.GREETINGS), product, others, rng)
    while True:
        template = _draw_template(product, others, style, rng)
        yield _add_fillers(_fill_template(template, product, others, rng), rng)


def _draw_template(
    product: ProductSpec | None,
    others: Sequence[ProductSpec],
    style: SpeechStyle,
    rng: np.random.Generator,
) -> str:
    if product is None:
        return str(rng.choice(phrases.SMALL_TALK if rng.random() < 0.8 else phrases.GREETINGS))
    draw = rng.random()
    if draw < style.naming_prob:
        is_variety = rng.random() < 0.6
        return str(rng.choice(phrases.VARIETIES if is_variety else phrases.BRANDS_AND_NAMES))
    if draw < style.naming_prob + style.comparison_prob and others:
        return str(rng.choice(phrases.COMPARISONS))
    weights = np.array([weight for _, weight in _GENERAL_SENTENCES])
    group = rng.choice(len(_GENERAL_SENTENCES), p=weights / weights.sum())
    return str(rng.choice(_GENERAL_SENTENCES[group][0]))


def _fill_template(
    template: str,
    product: ProductSpec | None,
    others: Sequence[ProductSpec],
    rng: np.random.Generator,
) -> str:
    fields = {
        "friend": rng.choice(phrases.VIEWERS),
        "n": rng.choice(split_words("two three four ten twenty")),
        "this": rng.choice(phrases.PRODUCT_REFERENCES),
    }
    if product is not None:
        fields |= _product_fields(product, rng)
    if others:
        fields |= _other_product_fields(others[int(rng.integers(len(others)))], product)
    return str(template).format(**fields)


def _product_fields(product: ProductSpec, rng: np.random.Generator) -> dict[str, str]:
    praise = rng.choice(phrases.PRAISE_WORDS[product.category], 2, replace=False)
    return {
        "kind": product["kind"],
        "variety": _draw_variety(product, rng),
        "brand": product["brand"].lower(),
        "part": str(rng.choice(product["name"].lower().split())),
        "price": price_in_words(product.price),
        "old": price_in_words(round(product.price * 1.4 / 100) * 100),
        "claim": str(praise[0]),
        "claim2": str(praise[1]),
    }


def _family_attributes(product: ProductSpec) -> list[str]:
    return [key for key in product.attributes if key not in ("brand", "name", "kind")]


def _draw_variety(product: ProductSpec, rng: np.random.Generator) -> str:
    """Draw an attribute, preferably the one that distinguishes twins, and put it into words."""
    if product.varies and rng.random() < 0.65:
        key = product.varies
    else:
        key = str(rng.choice(_family_attributes(product)))
    return attribute_phrase(key, product[key])


def _other_product_fields(other: ProductSpec, product: ProductSpec | None) -> dict[str, str]:
    is_twin = product is not None and other.group == product.group
    key = other.varies if is_twin else _family_attributes(other)[0]
    return {"other": attribute_phrase(key, other[key]), "okind": other["kind"]}


def _add_fillers(sentence: str, rng: np.random.Generator) -> str:
    opener = f"{rng.choice(phrases.OPENERS)} " if rng.random() < 0.35 else ""
    tag = f" {rng.choice(phrases.TAGS)}" if rng.random() < 0.18 else ""
    return opener + sentence + tag


def _merge_cues(
    cues: Sequence[Utterance], asr_error_level: float, rng: np.random.Generator
) -> list[Utterance]:
    """Merge some cues with the one before, as recognizers do when they miss a pause."""
    merged: list[Utterance] = []
    for cue in cues:
        is_missed_pause = merged and rng.random() < 0.35 * asr_error_level
        if is_missed_pause and cue.end - merged[-1].start < _MERGED_CUE_S:
            before = merged.pop()
            cue = Utterance(before.start, cue.end, f"{before.text} {cue.text}")
        merged.append(cue)
    return merged
