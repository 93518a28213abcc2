"""Prices in words."""

from __future__ import annotations

from sgmn.synth.word_lists import split_words

_UNITS = split_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = split_words("- - twenty thirty forty fifty sixty seventy eighty ninety")


def price_in_words(cents: int) -> str:
    """Return a price as it is spoken.

    >>> price_in_words(1949), price_in_words(2000)
    ('nineteen forty nine', 'twenty')
    """
    whole, rest = divmod(int(cents), 100)
    return (
        f"{_number_in_words(whole)} {_number_in_words(rest)}" if rest else _number_in_words(whole)
    )


def _number_in_words(value: int) -> str:
    if value >= 100:
        hundreds, rest = divmod(value, 100)
        return f"{_UNITS[hundreds]} hundred" + (f" {_number_in_words(rest)}" if rest else "")
    if value < 20:
        return _UNITS[value]
    tens, units = divmod(value, 10)
    return _TENS[tens] + (f" {_UNITS[units]}" if units else "")
