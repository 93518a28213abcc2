"""Errors of a speech recognizer: dropped and repeated words, homophones, misspelled names."""

from __future__ import annotations

import numpy as np

_HOMOPHONES = {
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
_SIMILAR_SOUNDS = (
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


def add_asr_errors(sentence: str, level: float, rng: np.random.Generator) -> str:
    """Return the sentence as a speech recognizer might transcribe it.

    `level` runs from 0 (no errors) to 1 (about one word in five is wrong).
    """
    words: list[str] = []
    for word in sentence.split():
        draw = rng.random()
        if draw < 0.055 * level:
            continue
        if draw < 0.08 * level:
            words.append(word)  # repeated word
        if draw > 1 - 0.05 * level:
            words.append(str(rng.choice(_FILLERS)))
        words.append(_recognize_word(word, level, rng))
    return " ".join(words)


def _recognize_word(word: str, level: float, rng: np.random.Generator) -> str:
    if rng.random() < 0.16 * level and word in _HOMOPHONES:
        return _HOMOPHONES[word]
    if rng.random() < 0.03 * level and len(word) > 4:
        return replace_sound(word, rng)
    return word


def replace_sound(word: str, rng: np.random.Generator) -> str:
    """Replace one sound of a word by a similar one."""
    candidates = [(old, new) for old, new in _SIMILAR_SOUNDS if old in word]
    if not candidates:
        return word
    old, new = candidates[int(rng.integers(len(candidates)))]
    return word.replace(old, new, 1)
