"""Which part of a benchmark to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgmn.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Subset:
    """Clips of some lives and categories, at most `count` of each split; empty for all."""

    lives: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    count: int = 0

    def has_live(self, live_id: str) -> bool:
        """Whether clips of a live belong to the subset."""
        return not self.lives or live_id in self.lives

    def has_category(self, category: str) -> bool:
        """Whether clips of a category belong to the subset."""
        return not self.categories or category in self.categories

    def leaves_room(self, clips: int) -> bool:
        """Whether a split may have more than this number of clips."""
        return not self.count or clips < self.count


def parse_subset(texts: Sequence[str]) -> Subset:
    """Parse `live=ID`, `category=NAME` and `count=N`; a repeated live or category adds to it.

    Raises SettingsError for anything else.

    >>> parse_subset(["category=Shoes", "count=100"])
    Subset(lives=(), categories=('Shoes',), count=100)
    """
    lives, categories, count = [], [], 0
    for text in texts:
        name, _, value = text.partition("=")
        if name == "live" and value:
            lives.append(value)
        elif name == "category" and value:
            categories.append(value)
        elif name == "count" and value.isascii() and value.isdecimal() and int(value):
            count = int(value)
        else:
            remedy = "pass live=ID, category=NAME or count=N"
            raise SettingsError(f"{text!r} is not a subset", "--subset", remedy)
    return Subset(tuple(lives), tuple(categories), count)
