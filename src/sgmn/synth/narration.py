"""A timed transcript of a host, as a speech recogniser hears it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sgmn.records import Utterance
from sgmn.synth import names, phrases
from sgmn.synth.asr_noise import misheard
from sgmn.synth.product import Article
from sgmn.synth.word_lists import listed

_PACE = (2.3, 3.4)  # words a second
_PAUSE_S = (0.15, 1.6)
_PLAIN = (
    (phrases.HANDLING, 4.0),
    (phrases.CLAIMS, 4.0),
    (phrases.PRICE, 2.5),
    (phrases.URGE, 2.0),
    (phrases.KIND, 1.2),
    (phrases.CHATTER, 0.6),
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a host talks and how well it is heard. All are shares 0..1.

    `naming` of the sentences say something that only fits the product (its variety, or part of
    its brand or name); `comparing` of them speak of another product; `noise` is the strength
    of the recogniser's faults.
    """

    naming: float
    comparing: float
    noise: float


def said(
    start: float,
    end: float,
    article: Article | None,
    others: Sequence[Article],
    manner: Manner,
    rng: np.random.Generator,
    *,
    greet: bool = False,
) -> list[Utterance]:
    """What is said from `start` to `end` while `article` is on sale (None: nothing is)."""
    pace, time = rng.uniform(*_PACE), start + float(rng.uniform(0.1, 1.2))
    found: list[Utterance] = []
    for sentence in _sentences(article, others, manner, rng, greet=greet):
        words = misheard(sentence, manner.noise, rng)
        length = max(0.5, len(words.split()) / pace)
        if time + length > end - 0.05:
            return _run_on(found, manner.noise, rng)
        if words:
            found.append(Utterance(round(time, 2), round(time + length, 2), words))
        time += length + float(rng.uniform(*_PAUSE_S))
    raise AssertionError("a host never runs out of words")


def _sentences(
    article: Article | None,
    others: Sequence[Article],
    manner: Manner,
    rng: np.random.Generator,
    *,
    greet: bool,
) -> Iterator[str]:
    if greet:
        yield _filled(rng.choice(phrases.GREETING), article, others, rng)
    while True:
        yield _wrapped(_filled(_pattern(article, others, manner, rng), article, others, rng), rng)


def _pattern(
    article: Article | None, others: Sequence[Article], manner: Manner, rng: np.random.Generator
) -> str:
    if article is None:
        return str(rng.choice(phrases.CHATTER if rng.random() < 0.8 else phrases.GREETING))
    draw = rng.random()
    if draw < manner.naming:
        return str(rng.choice(phrases.VARIETY if rng.random() < 0.6 else phrases.NAME))
    if draw < manner.naming + manner.comparing and others:
        return str(rng.choice(phrases.COMPARE))
    weights = np.array([weight for _, weight in _PLAIN])
    return str(rng.choice(_PLAIN[rng.choice(len(_PLAIN), p=weights / weights.sum())][0]))


def _filled(
    pattern: str, article: Article | None, others: Sequence[Article], rng: np.random.Generator
) -> str:
    blanks = {
        "friend": rng.choice(phrases.FRIENDS),
        "n": rng.choice(listed("two three four ten twenty")),
    }
    blanks |= {"this": rng.choice(phrases.THINGS)}
    if article is not None:
        blanks |= _about(article, rng)
    if others:
        blanks |= _about_other(others[int(rng.integers(len(others)))], article, rng)
    return str(pattern).format(**blanks)


def _about(article: Article, rng: np.random.Generator) -> dict[str, str]:
    claims = rng.choice(phrases.CLAIM_WORDS[article.category], 2, replace=False)
    return {
        "kind": article["kind"],
        "variety": _variety(article, rng),
        "brand": article["brand"].lower(),
        "part": str(rng.choice(article["name"].lower().split())),
        "price": spoken(article.price),
        "old": spoken(round(article.price * 1.4 / 100) * 100),
        "claim": str(claims[0]),
        "claim2": str(claims[1]),
    }


def _variety(article: Article, rng: np.random.Generator) -> str:
    """One attribute in words: that in which its twins differ more often than another."""
    own = [key for key in article.attributes if key not in ("brand", "name", "kind")]
    key = article.varies if article.varies and rng.random() < 0.65 else str(rng.choice(own))
    return names.phrase(key, article[key])


def _about_other(
    other: Article, article: Article | None, rng: np.random.Generator
) -> dict[str, str]:
    twin = article is not None and other.group == article.group
    key = (
        other.varies
        if twin
        else next(k for k in other.attributes if k not in ("brand", "name", "kind"))
    )
    return {"other": names.phrase(key, other[key]), "okind": other["kind"]}


def _wrapped(sentence: str, rng: np.random.Generator) -> str:
    opener = f"{rng.choice(phrases.OPENERS)} " if rng.random() < 0.35 else ""
    tag = f" {rng.choice(phrases.TAGS)}" if rng.random() < 0.18 else ""
    return opener + sentence + tag


def _run_on(cues: Sequence[Utterance], noise: float, rng: np.random.Generator) -> list[Utterance]:
    """Some cues joined to the one before, as recognisers do that miss the pause."""
    found: list[Utterance] = []
    for cue in cues:
        joins = found and rng.random() < 0.35 * noise and cue.end - found[-1].start < 9
        if joins:
            before = found.pop()
            cue = Utterance(before.start, cue.end, f"{before.text} {cue.text}")
        found.append(cue)
    return found


_ONES = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = listed("- - twenty thirty forty fifty sixty seventy eighty ninety")


def spoken(cents: int) -> str:
    """A price as it is said: 1949 is "nineteen forty nine", 2000 "twenty"."""
    whole, rest = divmod(int(cents), 100)
    return f"{_number(whole)} {_number(rest)}" if rest else _number(whole)


def _number(value: int) -> str:
    if value >= 100:
        hundreds, rest = divmod(value, 100)
        return f"{_ONES[hundreds]} hundred" + (f" {_number(rest)}" if rest else "")
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
