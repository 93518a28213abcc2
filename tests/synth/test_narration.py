"""What hosts say and how it is heard."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sgmn.synth import shop
from sgmn.synth.asr_noise import misheard
from sgmn.synth.narration import Manner, said, spoken

ARTICLES = shop.articles(3, 0, 60, 0.8)


def talk(naming: float, noise: float = 0.0, seed: int = 0, length: float = 120.0) -> str:
    words = [
        cue.text
        for i, article in enumerate(ARTICLES[:12])
        for cue in said(
            0, length, article, ARTICLES[40:43], Manner(naming, 0.1, noise), rng(seed + i)
        )
    ]
    return " ".join(words)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 99))


@pytest.mark.parametrize("length", [4.0, 20.0, 90.0])
def test_cues_are_in_order_and_inside_their_span(length: float) -> None:
    for seed in range(30):
        cues = said(10, 10 + length, ARTICLES[seed], (), Manner(0.2, 0.1, 1.0), rng(seed))
        assert all(10 <= cue.start < cue.end <= 10 + length for cue in cues)
        assert all(before.end <= after.start for before, after in pairwise(cues))


def test_the_brand_is_said_more_often_with_more_naming_and_never_without() -> None:
    brands = {article["brand"].lower() for article in ARTICLES[:12]}
    counts = [sum(word in brands for word in talk(share).split()) for share in (0.0, 0.2, 0.8)]
    assert counts[0] == 0
    assert counts[0] < counts[1] < counts[2]


def test_noise_changes_words_and_none_changes_none() -> None:
    line = "the red cap is from the new series and it is mint right for you"
    assert misheard(line, 0.0, rng(0)) == line
    wrong = [misheard(line, 1.0, rng(i)) != line for i in range(40)]
    assert np.mean(wrong) > 0.7


def test_noise_is_about_one_word_in_five_at_most() -> None:
    clean = talk(0.2).split()
    kept = sum(w in misheard(w, 1.0, rng(i)).split() for i, w in enumerate(clean))
    assert 0.75 < kept / len(clean) < 0.97


def test_nothing_on_sale_names_no_product_and_no_price() -> None:
    words = " ".join(
        cue.text for i in range(20) for cue in said(0, 60, None, (), Manner(0.9, 0.1, 0), rng(i))
    )
    assert len(words) > 2000
    assert "{" not in words
    for article in ARTICLES:
        assert article["brand"].lower() not in words.split()


@pytest.mark.parametrize(
    ("cents", "words"),
    [
        (1949, "nineteen forty nine"),
        (2000, "twenty"),
        (899, "eight ninety nine"),
        (12500, "one hundred twenty five"),
        (10000, "one hundred"),
    ],
)
def test_prices_are_spoken_as_people_do(cents: int, words: str) -> None:
    assert spoken(cents) == words


def test_no_blank_is_left_open() -> None:
    assert "{" not in talk(0.5)
