"""The word error rate."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.evaluation.word_errors import count_word_errors, split_spoken_words, word_error_rate

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def count_recursively(first: list[str], second: list[str]) -> int:
    """The definition of the Levenshtein distance."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        count_recursively(first[1:], second[1:]) + (first[0] != second[0]),
        count_recursively(first[1:], second) + 1,
        count_recursively(first, second[1:]) + 1,
    )


@given(WORDS, WORDS)
def test_errors_are_the_levenshtein_distance(first: list[str], second: list[str]) -> None:
    assert count_word_errors(first, second) == count_recursively(first, second)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("1390", "thirteen ninety"),
        ("$13.90", "thirteen ninety"),
        ("13", "thirteen"),
        ("100", "one hundred"),
        ("2000", "two thousand"),
        ("1900", "nineteen hundred"),
        ("2,450", "twenty four fifty"),
        ("150,000", "one hundred fifty thousand"),
        ("5.00", "five"),
        ("1.5", "one point five"),
        ("007", "zero zero seven"),
        ("20%", "twenty percent"),
        ("twenty-one", "twenty one"),
        ("It's GREAT!", "its great"),
        ("4K", "four k"),
    ],
)
def test_numbers_are_compared_as_they_are_spoken(text: str, spoken: str) -> None:
    assert " ".join(split_spoken_words(text)) == spoken


def test_the_rate_counts_all_words_of_all_recordings() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "e f")]) == pytest.approx(2 / 4)
    assert isnan(word_error_rate([("", "a")]))
