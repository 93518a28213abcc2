"""The word error rate of speech recognition, with numbers compared as they are spoken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["count_word_errors", "split_spoken_words", "word_error_rate"]

_UNIT_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TEN_NAMES = "- - twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS, _TENS = _UNIT_NAMES.split(), _TEN_NAMES.split()
_NUMBER_OR_WORD = re.compile(r"(\d[\d,]*)(?:\.(\d+))?|%|[^\W\d_]+")
_APOSTROPHES = re.compile(r"['’]")


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Return the word errors of recognized texts per word of the true texts.

    Args:
        pairs: The true text and the recognized text of each recording.

    Returns:
        0 if all words are right; it exceeds 1 if the recognizer invents many words. NaN without
        true words.

    >>> word_error_rate([("it is thirteen ninety", "It's 13.90!")])
    0.5
    """
    errors = words = 0
    for true_text, recognized_text in pairs:
        true_words = split_spoken_words(true_text)
        errors += count_word_errors(true_words, split_spoken_words(recognized_text))
        words += len(true_words)
    return errors / words if words else float("nan")


def count_word_errors(true_words: Sequence[str], recognized_words: Sequence[str]) -> int:
    """Return the least number of substituted, deleted and inserted words (Levenshtein).

    >>> count_word_errors("the red mug".split(), "red mugs now".split())
    3
    """
    row = list(range(len(recognized_words) + 1))
    for number, true_word in enumerate(true_words, start=1):
        diagonal, row[0] = row[0], number
        for column, word in enumerate(recognized_words, start=1):
            substituted = diagonal + (word != true_word)
            diagonal = row[column]
            row[column] = min(substituted, row[column] + 1, row[column - 1] + 1)
    return row[-1]


def split_spoken_words(text: str) -> list[str]:
    """Split an English text into lower-case words without punctuation, numbers as spoken.

    A number of four digits is read in pairs, and so is one with two decimals, as a price is.

    >>> split_spoken_words("The oat-milk's $13.90, or 1390; 105 left")
    ['the', 'oat', 'milks', 'thirteen', 'ninety', 'or', 'thirteen', 'ninety', 'one', 'hundred', \
'five', 'left']
    """
    words: list[str] = []
    for match in _NUMBER_OR_WORD.finditer(_APOSTROPHES.sub("", text).lower()):
        if match[1] is not None:
            words += _read_number(match[1].replace(",", ""), match[2] or "")
        else:
            words.append("percent" if match[0] == "%" else match[0])
    return words


def _read_number(whole: str, decimals: str) -> list[str]:
    if len(decimals) == 2:
        cents = _count_in_words(int(decimals)) if int(decimals) else []
        return [*_read_number(whole, ""), *cents]
    if decimals:
        return [*_read_number(whole, ""), "point", *(_UNITS[int(digit)] for digit in decimals)]
    if len(whole) == 4 and whole[0] != "0" and whole[1:3] != "00":
        rest = _count_in_words(int(whole[2:])) if int(whole[2:]) else ["hundred"]
        return [*_count_in_words(int(whole[:2])), *rest]
    if len(whole) > 6 or (len(whole) > 1 and whole[0] == "0"):
        return [_UNITS[int(digit)] for digit in whole]
    return _count_in_words(int(whole))


def _count_in_words(value: int) -> list[str]:
    """Return an integer below a million in words."""
    if value < 20:
        return [_UNITS[value]]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = _count_in_words(value % size) if value % size else []
            return [*_count_in_words(value // size), name, *rest]
    return [_TENS[value // 10], *([_UNITS[value % 10]] if value % 10 else [])]
