"""The terms of scores: they add up to the scores, and what they leave out has a name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sgmn.catalogue.shelf import Shelf
from sgmn.model.bundle import ModelBundle
from sgmn.model.contributions import split_score
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import compute_terms, score
from sgmn.records import Product, ProductContent
from sgmn.service.streams.encoder_stream import EncoderStream, WindowRequest, score_windows
from sgmn.service.streams.score_terms import EXPLAINED_PRODUCTS, OTHER, TERM_NAMES, ScoreTerms, rank
from tests.conftest import noise
from tests.model.part_cases import enable_all_parts
from tests.model.score_cases import draw_clips, draw_products


def test_terms_add_up_to_the_score(tiny: Callable[[], ModelBundle]) -> None:
    weights = Embedder(tiny(), "cpu").ranker.weights
    weights = weights._replace(match=torch.tensor(0.5))
    clips, products = draw_clips(), draw_products()
    parts = split_score(compute_terms(clips, products, weights))
    total = torch.stack(list(parts.values())).sum(0)
    is_comparable = clips.has_image[:, None] & products.has_image | (
        clips.has_text[:, None] & products.has_text
    )
    assert 0 < is_comparable.sum() < is_comparable.numel()
    expected = score(clips, products, weights)
    torch.testing.assert_close(total[is_comparable], expected[is_comparable])
    assert (total[~is_comparable] == 0).all()


@pytest.mark.parametrize("has_all_parts", [False, True])
def test_the_encoder_explains_the_best_products_of_a_window(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator, has_all_parts: bool
) -> None:
    bundle = enable_all_parts(tiny(), randomize=True) if has_all_parts else tiny()
    embedder = Embedder(bundle, "cpu")
    contents = [ProductContent((noise(rng),), f"cup {number}") for number in range(6)]
    products = [Product(f"p{number}", title=f"cup {number}") for number in range(6)]
    shelf = Shelf(products, embedder.encode_products(contents))
    stream = EncoderStream(embedder, shelf, ("image", "text"))
    for number in range(2):  # the second has a neighbor
        request = WindowRequest(range(number, number + 1), number, [noise(rng)], "a red cup")
        [scores] = score_windows([stream], [request])
        terms, end = ScoreTerms.read(b"x" + scores.terms.to_bytes() + b"text", 1)
        assert end == 1 + len(scores.terms.to_bytes()) and terms.names == scores.terms.names
        assert set(terms.names) <= set(TERM_NAMES) and len(terms.values) == EXPLAINED_PRODUCTS
        for place, index in enumerate(rank(scores.logits, EXPLAINED_PRODUCTS)):
            logit, exact = float(scores.logits[index]), scores.terms.values[place]
            parts = terms.split(place, logit)
            assert sum(parts.values()) == pytest.approx(logit)
            assert [parts[name] for name in terms.names] == pytest.approx(exact, rel=2e-3, abs=2e-3)
            assert (OTHER in parts) == has_all_parts
