"""Lists of words, written as a person would jot them down."""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """The words of a text: `listed("red blue")` is ("red", "blue")."""
    return tuple(text.split())
