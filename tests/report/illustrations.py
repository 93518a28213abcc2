"""Illustrated explanations to draw: a typical one, and unusual ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sgmn.model.explanation import AttentionMap, Explanation, ProductExplanation, TermContribution
from sgmn.model.heatmap import Heatmap
from sgmn.model.word_spans import WordWeight
from sgmn.records import ImageArray
from sgmn.report.illustration import IllustratedExplanation, IllustratedProduct

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def solid_image(color: tuple[int, int, int], height: int = 64, width: int = 36) -> ImageArray:
    return np.full((height, width, 3), color, np.uint8)


def corner_heatmap(height: int = 64, width: int = 36) -> Heatmap:
    """Return all attention in the lower right corner, a sixteenth of the image."""
    heatmap = np.zeros((height, width))
    heatmap[3 * height // 4 :, 3 * width // 4 :] = 1.0
    return np.asarray(heatmap / heatmap.sum())


def explain_product(place: int, score: float, views: int = 1) -> ProductExplanation:
    terms = (
        TermContribution("image", 1.0, score - 0.1, score - 0.1, True),
        TermContribution("match", 0.5, 0.0, 0.0, False),
    )
    maps = tuple(AttentionMap(1 / views, corner_heatmap(40, 40)) for _ in range(views))
    title = (WordWeight("red", 0.9), WordWeight("mug", 0.1))
    return ProductExplanation(
        place, score, terms, {"pairwise score": 0.1}, maps, title, (0.4, 0.2, 0.1)
    )


def illustrate(
    weights: tuple[float, ...] = (0.2, 0.5, 0.3), products: int = 2
) -> IllustratedExplanation:
    colors = [(RED, GREEN, BLUE)[place % 3] for place in range(len(weights))]
    words = tuple(WordWeight(text, share) for text, share in (("this", 0.1), ("mug", 0.9)))
    compared = [
        replace(explain_product(n, 0.8 - 0.3 * n), frame_similarities=weights)
        for n in range(products)
    ]
    return IllustratedExplanation(
        "clip.mp4",
        tuple(2.0 * place for place in range(len(weights))),
        2.0 * len(weights),
        tuple(solid_image(color) for color in colors),
        Explanation(
            tuple(AttentionMap(weight, corner_heatmap()) for weight in weights),
            words,
            tuple(compared),
            True,
        ),
        tuple(
            IllustratedProduct(f"p{n}", f"red mug {n}", (solid_image(RED, 40, 40),))
            for n in range(products)
        ),
    )


def without_guidance(illustration: IllustratedExplanation) -> IllustratedExplanation:
    """Return the same explanation from a model without guidance."""
    frames = tuple(
        AttentionMap(attention.weight, None) for attention in illustration.explanation.frames
    )
    explanation = replace(illustration.explanation, frames=frames, has_guidance=False)
    return replace(illustration, explanation=explanation)


def unusual_illustrations() -> dict[str, IllustratedExplanation]:
    base = illustrate()
    silent = replace(base.explanation, words=())
    long = tuple(WordWeight(f"word{n}", 1 / 400) for n in range(400))
    one_word = (WordWeight("x" * 500, 1.0),)
    bare = replace(explain_product(0, -0.5), views=(), title=(), frame_similarities=())
    unseen = replace(base.explanation, products=(bare, bare))
    dull = replace(explain_product(0, 0.0), terms=(), adjustments={}, frame_similarities=())
    wide = tuple(solid_image(RED, 36, 640) for _ in range(3))
    return {
        "one frame, one product": illustrate((1.0,), 1),
        "many frames": illustrate(tuple(np.full(30, 1 / 30))),
        "frames without weight": illustrate((0.0, 0.0)),
        "no speech": replace(base, explanation=silent),
        "a long transcript": replace(base, explanation=replace(base.explanation, words=long)),
        "a long word": replace(base, explanation=replace(base.explanation, words=one_word)),
        "no images": replace(
            base,
            explanation=unseen,
            products=(IllustratedProduct("p0", ""), IllustratedProduct("p1", "")),
        ),
        "no common modality": replace(
            base, explanation=replace(base.explanation, products=(dull, dull))
        ),
        "other scripts": replace(
            base,
            name="红茶.mp4",
            products=(IllustratedProduct("p0", "Crème 红茶"), IllustratedProduct("茶", "é")),
        ),
        "a long name": replace(base, name="clip" * 200),
        "wide frames": replace(base, frames=wide),
        "unguided": without_guidance(base),
    }
