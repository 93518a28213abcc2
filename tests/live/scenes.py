"""Explanations to draw: a plain one, and odd ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sgmn.model.explanation import AttentionMap, Explanation, ProductExplanation, TermContribution
from sgmn.model.heatmap import Heatmap
from sgmn.model.word_spans import WordWeight
from sgmn.report.drawing import IllustratedExplanation, IllustratedProduct

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def plain(colour: tuple[int, int, int], height: int = 64, width: int = 36) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def corner(height: int = 64, width: int = 36) -> Heatmap:
    """All attention on the last quarter of a quarter."""
    heat = np.zeros((height, width))
    heat[3 * height // 4 :, 3 * width // 4 :] = 1.0
    return heat / heat.sum()


def comparison(place: int, score: float, views: int = 1) -> ProductExplanation:
    terms = (
        TermContribution("image", 1.0, score - 0.1, score - 0.1, True),
        TermContribution("match", 0.5, 0.0, 0.0, False),
    )
    gazes = tuple(AttentionMap(1 / views, corner(40, 40)) for _ in range(views))
    title = (WordWeight("red", 0.9), WordWeight("mug", 0.1))
    return ProductExplanation(
        place, score, terms, {"as a pair": 0.1}, gazes, title, (0.4, 0.2, 0.1)
    )


def scene(shares: tuple[float, ...] = (0.2, 0.5, 0.3), products: int = 2) -> IllustratedExplanation:
    colours = [(RED, GREEN, BLUE)[place % 3] for place in range(len(shares))]
    words = tuple(WordWeight(text, share) for text, share in (("this", 0.1), ("mug", 0.9)))
    compared = [replace(comparison(n, 0.8 - 0.3 * n), frames=shares) for n in range(products)]
    return IllustratedExplanation(
        "clip.mp4",
        tuple(2.0 * place for place in range(len(shares))),
        2.0 * len(shares),
        tuple(plain(colour) for colour in colours),
        Explanation(tuple(AttentionMap(s, corner()) for s in shares), words, tuple(compared), True),
        tuple(
            IllustratedProduct(f"p{n}", f"red mug {n}", (plain(RED, 40, 40),))
            for n in range(products)
        ),
    )


def alike(drawn: IllustratedExplanation) -> IllustratedExplanation:
    """The same by a model without guidance."""
    frames = tuple(AttentionMap(gaze.weight, None) for gaze in drawn.explanation.frames)
    explanation = replace(drawn.explanation, frames=frames, guided=False)
    return replace(drawn, explanation=explanation)


def odd_scenes() -> dict[str, IllustratedExplanation]:
    base = scene()
    silent = replace(base.explanation, words=())
    long = tuple(WordWeight(f"word{n}", 1 / 400) for n in range(400))
    one_word = (WordWeight("x" * 500, 1.0),)
    bare = replace(comparison(0, -0.5), views=(), title=(), frames=())
    unseen = replace(base.explanation, comparisons=(bare, bare))
    dull = replace(comparison(0, 0.0), terms=(), changes={}, frames=())
    wide = tuple(plain(RED, 36, 640) for _ in range(3))
    return {
        "one frame, one product": scene((1.0,), 1),
        "many frames": scene(tuple(np.full(30, 1 / 30))),
        "frames of no weight": scene((0.0, 0.0)),
        "silent": replace(base, explanation=silent),
        "a long speech": replace(base, explanation=replace(base.explanation, words=long)),
        "a long word": replace(base, explanation=replace(base.explanation, words=one_word)),
        "no picture": replace(
            base,
            explanation=unseen,
            listings=(IllustratedProduct("p0", ""), IllustratedProduct("p1", "")),
        ),
        "nothing to compare": replace(
            base, explanation=replace(base.explanation, comparisons=(dull, dull))
        ),
        "other scripts": replace(
            base,
            name="红茶.mp4",
            listings=(IllustratedProduct("p0", "Crème 红茶"), IllustratedProduct("茶", "é")),
        ),
        "a long name": replace(base, name="clip" * 200),
        "wide frames": replace(base, frames=wide),
        "unguided": alike(base),
    }
