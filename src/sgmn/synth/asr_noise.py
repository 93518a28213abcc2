"""The faults of a speech recogniser: dropped and repeated words, homophones, garbled names."""

from __future__ import annotations

import numpy as np

_SOUNDS_LIKE = {
    "red": "read",
    "blue": "blew",
    "mint": "meant",
    "peach": "beach",
    "white": "wide",
    "sole": "soul",
    "rose": "rows",
    "sale": "sail",
    "for": "four",
    "to": "two",
    "one": "won",
    "cap": "cup",
    "cup": "cap",
    "jam": "gem",
    "bag": "back",
    "tea": "tee",
    "piping": "pipe in",
    "brim": "broom",
    "strap": "strep",
    "clip": "click",
    "handle": "candle",
    "navy": "navi",
    "teal": "deal",
    "beige": "page",
    "lemon": "lemmon",
    "matcha": "much a",
    "caramel": "carmel",
    "vanilla": "manila",
    "cherry": "sherry",
    "coconut": "coco nut",
    "lavender": "love under",
    "aloe": "a low",
    "honey": "funny",
    "charcoal": "char coal",
    "star": "start",
    "sun": "son",
    "leaf": "leave",
    "heart": "hard",
    "crown": "ground",
    "fish": "dish",
    "flower": "flour",
    "striped": "stripe",
    "dotted": "daughter",
    "checked": "check",
    "plush": "push",
    "lamp": "lamb",
    "pan": "pen",
    "mug": "mark",
    "soap": "soup",
    "cream": "scream",
    "price": "prize",
    "hear": "here",
    "your": "you're",
    "know": "no",
    "their": "there",
    "grey": "great",
    "pink": "think",
    "black": "block",
    "brown": "drown",
    "green": "queen",
}
_GARBLED = (
    ("ck", "k"),
    ("x", "cks"),
    ("qu", "kw"),
    ("ea", "ee"),
    ("ll", "l"),
    ("st", "sd"),
    ("v", "b"),
    ("z", "s"),
    ("th", "t"),
    ("g", "k"),
    ("o", "a"),
    ("i", "e"),
    ("p", "b"),
)
_FILLERS = ("um", "uh", "like", "er", "you know", "hmm")


def misheard(sentence: str, noise: float, rng: np.random.Generator) -> str:
    """The sentence as recognised; `noise` 0 (faultless) to 1 (one word in five is wrong)."""
    found: list[str] = []
    for word in sentence.split():
        draw = rng.random()
        if draw < 0.055 * noise:
            continue
        if draw < 0.08 * noise:
            found.append(word)  # said twice
        if draw > 1 - 0.05 * noise:
            found.append(str(rng.choice(_FILLERS)))
        found.append(_heard(word, noise, rng))
    return " ".join(found)


def _heard(word: str, noise: float, rng: np.random.Generator) -> str:
    if rng.random() < 0.16 * noise and word in _SOUNDS_LIKE:
        return _SOUNDS_LIKE[word]
    if rng.random() < 0.03 * noise and len(word) > 4:
        return garbled(word, rng)
    return word


def garbled(word: str, rng: np.random.Generator) -> str:
    """A word with one sound taken for another."""
    fits = [(old, new) for old, new in _GARBLED if old in word]
    if not fits:
        return word
    old, new = fits[int(rng.integers(len(fits)))]
    return word.replace(old, new, 1)
