"""Generated transcripts and recognition errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sgmn.synth.plan.asr_errors import add_asr_errors
from sgmn.synth.plan.prices import price_in_words
from sgmn.synth.plan.transcript import SpeechStyle, generate_transcript
from sgmn.synth.products import catalog

PRODUCTS = catalog.generate_products(3, 0, 60, 0.8)


def make_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 99))


def text_of_products(naming_prob: float, duration_s: float = 120.0) -> str:
    style = SpeechStyle(naming_prob, 0.1, 0.0)
    utterances = [
        utterance
        for i, product in enumerate(PRODUCTS[:12])
        for utterance in generate_transcript(
            0, duration_s, product, PRODUCTS[40:43], style, make_rng(i)
        )
    ]
    return " ".join(utterance.text for utterance in utterances)


@pytest.mark.parametrize("duration_s", [4.0, 20.0, 90.0])
def test_utterances_are_ordered_and_inside_their_span(duration_s: float) -> None:
    style = SpeechStyle(0.2, 0.1, 1.0)
    for seed in range(30):
        utterances = generate_transcript(
            10, 10 + duration_s, PRODUCTS[seed], (), style, make_rng(seed)
        )
        assert all(10 <= u.start < u.end <= 10 + duration_s for u in utterances)
        assert all(before.end <= after.start for before, after in pairwise(utterances))


def test_brands_are_mentioned_in_proportion_to_naming_prob() -> None:
    brands = {product["brand"].lower() for product in PRODUCTS[:12]}
    counts = [
        sum(word in brands for word in text_of_products(prob).split()) for prob in (0.0, 0.2, 0.8)
    ]
    assert counts[0] == 0
    assert counts[0] < counts[1] < counts[2]


def test_errors_change_sentences_only_at_a_level_above_zero() -> None:
    sentence = "the red cap is from the new series and it is mint right for you"
    assert add_asr_errors(sentence, 0.0, make_rng(0)) == sentence
    is_changed = [add_asr_errors(sentence, 1.0, make_rng(i)) != sentence for i in range(40)]
    assert np.mean(is_changed) > 0.7


def test_at_most_about_one_word_in_five_is_wrong() -> None:
    words = text_of_products(0.2).split()
    correct = sum(w in add_asr_errors(w, 1.0, make_rng(i)).split() for i, w in enumerate(words))
    assert 0.75 < correct / len(words) < 0.97


def test_no_product_is_named_while_nothing_is_on_sale() -> None:
    style = SpeechStyle(0.9, 0.1, 0)
    utterances = [
        utterance
        for i in range(20)
        for utterance in generate_transcript(0, 60, None, (), style, make_rng(i))
    ]
    text = " ".join(utterance.text for utterance in utterances)
    assert len(text) > 2000
    assert "{" not in text
    for product in PRODUCTS:
        assert product["brand"].lower() not in text.split()


def test_all_template_fields_are_filled() -> None:
    assert "{" not in text_of_products(0.5)


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (1949, "nineteen forty nine"),
        (2000, "twenty"),
        (899, "eight ninety nine"),
        (12500, "one hundred twenty five"),
        (10000, "one hundred"),
    ],
)
def test_prices_are_written_as_they_are_spoken(cents: int, text: str) -> None:
    assert price_in_words(cents) == text
