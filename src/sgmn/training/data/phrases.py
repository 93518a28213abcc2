"""Phrases that salespeople use for any product: greetings, mentions of products, fillers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmn.settings import parse_table, read_toml, require

SLOT = "{name}"


@dataclass(frozen=True)
class Phrases:
    """Phrases by kind; `{name}` is replaced by the name of a product.

    Attributes:
        openings: start a transcript and name no product.
        product_mentions: name the product on sale by its title, or by its category if there are
            no `category_mentions`.
        category_mentions: name the product on sale by its category.
        other_product_mentions: name another product.
        fillers: name no product.
    """

    openings: tuple[str, ...] = (
        "hello everyone welcome to the live",
        "good evening friends stay with me",
        "okay look at this one here",
        "so the next thing on my table",
        "thank you for coming let me show you",
        "right everybody come closer",
    )
    product_mentions: tuple[str, ...] = (
        "today we have {name}",
        "this {name} is what everybody asks for",
        "i brought {name} for you",
        "let me tell you about {name}",
        "here is our {name}",
    )
    category_mentions: tuple[str, ...] = ()
    other_product_mentions: tuple[str, ...] = (
        "this is not {name} from before",
        "somebody asks for {name} that comes later",
        "it goes well with {name}",
        "we also sell {name}",
    )
    fillers: tuple[str, ...] = (
        "the price is only for today",
        "we do not have many left",
        "i use it at home every day",
        "press the heart for me",
        "it is so good believe me",
        "write your question in the chat",
        "number five in the basket",
    )

    def __post_init__(self) -> None:
        for kind in ("openings", "product_mentions", "other_product_mentions", "fillers"):
            require(bool(getattr(self, kind)), kind, (), "add at least one phrase")
        for kind in ("product_mentions", "category_mentions", "other_product_mentions"):
            for phrase in getattr(self, kind):
                require(phrase.count(SLOT) == 1, kind, phrase, f"use {SLOT} exactly once")
        for kind in ("openings", "fillers"):
            for phrase in getattr(self, kind):
                require(SLOT not in phrase, kind, phrase, f"remove {SLOT}: these name no product")

    @property
    def all(self) -> tuple[str, ...]:
        """All phrases of every kind."""
        mentions = (*self.product_mentions, *self.category_mentions, *self.other_product_mentions)
        return (*self.openings, *mentions, *self.fillers)


def load_phrases(path: Path | None) -> Phrases:
    """Load phrases from a TOML file; without a file, return the built-in phrases."""
    return Phrases() if path is None else parse_table(Phrases, read_toml(path), path)
