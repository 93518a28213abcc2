"""Word lists written as text."""

from __future__ import annotations


def split_words(text: str) -> tuple[str, ...]:
    """Split a text into words.

    >>> split_words("red blue")
    ('red', 'blue')
    """
    return tuple(text.split())
