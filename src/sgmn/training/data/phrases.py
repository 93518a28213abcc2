"""What salespeople say of any product: greetings, namings, chatter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmn.settings import from_table, read_toml, require

SLOT = "{name}"


@dataclass(frozen=True)
class Phrases:
    """Each a tuple of phrases; {name} stands for what is named.

    openings, fillings: that say nothing of any product. namings: of the product on sale, by its
    title, and by its category where there are no `categories`. others: of some other product.
    """

    openings: tuple[str, ...] = (
        "hello everyone welcome to the live",
        "good evening friends stay with me",
        "okay look at this one here",
        "so the next thing on my table",
        "thank you for coming let me show you",
        "right everybody come closer",
    )
    namings: tuple[str, ...] = (
        "today we have {name}",
        "this {name} is what everybody asks for",
        "i brought {name} for you",
        "let me tell you about {name}",
        "here is our {name}",
    )
    categories: tuple[str, ...] = ()
    others: tuple[str, ...] = (
        "this is not {name} from before",
        "somebody asks for {name} that comes later",
        "it goes well with {name}",
        "we also sell {name}",
    )
    fillings: tuple[str, ...] = (
        "the price is only for today",
        "we do not have many left",
        "i use it at home every day",
        "press the heart for me",
        "it is so good believe me",
        "write your question in the chat",
        "number five in the basket",
    )

    def __post_init__(self) -> None:
        for kind in ("openings", "namings", "others", "fillings"):
            require(bool(getattr(self, kind)), kind, (), "give at least one phrase")
        for kind in ("namings", "categories", "others"):
            for phrase in getattr(self, kind):
                require(phrase.count(SLOT) == 1, kind, phrase, f"name it once, as {SLOT}")
        for kind in ("openings", "fillings"):
            for phrase in getattr(self, kind):
                require(SLOT not in phrase, kind, phrase, f"name nothing there: without {SLOT}")

    @property
    def every(self) -> tuple[str, ...]:
        """All phrases, of whatever kind."""
        named = (*self.namings, *self.categories, *self.others)
        return (*self.openings, *named, *self.fillings)


def phrases(path: Path | None) -> Phrases:
    """Those of a TOML file, or the built-in ones. Raises SettingsError."""
    return Phrases() if path is None else from_table(Phrases, read_toml(path), path)
