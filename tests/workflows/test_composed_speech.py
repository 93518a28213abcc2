"""Composed transcripts: when something is said, and what is left unsaid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sgmn.records import Product
from sgmn.workflows.composed_speech import compose_utterances, spoken_sentences

MILK = Product("p0", "Arla Ecological Milk", category="Milk")
OTHER = Product("p1", "Granny Smith", category="Apple")
SENTENCES = ("it comes from cows that graze outside",)


def texts_of(count: int) -> list[str]:
    """Some transcripts, each as one string."""
    talks = (
        compose_utterances(MILK, [OTHER], SENTENCES, 10.0, np.random.default_rng(seed))
        for seed in range(count)
    )
    return [" ".join(utterance.text for utterance in talk) for talk in talks]


def test_utterances_follow_one_another_until_the_end() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        talk = [*compose_utterances(MILK, [OTHER], SENTENCES, 20.0, rng)]
        assert talk[0].start < 0.5 and 15 < talk[-1].end <= 20
        assert all(one.end <= after.start for one, after in pairwise(talk))
        assert any(10 <= one.start < 10.5 for one in talk)  # the second half greets anew
        assert all(utterance.text for utterance in talk)


def test_the_brand_is_mostly_unsaid_and_others_are_sometimes_named() -> None:
    texts = texts_of(300)
    shares = {
        word: sum(word in text.split() for text in texts) / len(texts)
        for word in ("arla", "milk", "granny", "graze")
    }
    assert 0.02 < shares["arla"] < 0.12
    assert 0.4 < shares["milk"] < 0.85
    assert 0.15 < shares["granny"] < 0.35
    assert shares["graze"] > 0.6
    assert sum("uh" in text.split() for text in texts) > 10


def test_a_description_is_spoken_without_the_name() -> None:
    text = "Arla Ecological Milk is, as milk goes, fresh! Fine. Try ecological products today?"
    assert spoken_sentences(text, MILK) == (
        "this milk is as milk goes fresh",
        "try this products today",
    )
    assert spoken_sentences("", MILK) == ()


def test_a_product_without_category_or_description_is_named_by_its_title() -> None:
    plain = Product("p2", "Plum")
    texts = [
        " ".join(
            one.text for one in compose_utterances(plain, [], (), 10.0, np.random.default_rng(s))
        )
        for s in range(50)
    ]
    assert sum("plum" in text for text in texts) > 20
