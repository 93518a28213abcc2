"""The parts between towers and score: untrained parts change nothing, masks are exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sgmn.model import backbones, checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import LEARNED_TERMS, ProductVectors
from sgmn.records import ClipContent, ProductContent
from tests.model.part_cases import draw_clips, draw_products, enable_all_parts


@pytest.fixture(params=["composed", "clip", "siglip", "chinese_clip"])
def model(
    request: pytest.FixtureRequest,
    tiny: Callable[[], ModelBundle],
    backbone: Callable[[str], Path],
) -> ModelBundle:
    if request.param == "composed":
        return tiny()
    return backbones.load_pretrained(str(backbone(request.param)))


@pytest.fixture
def full(tiny: Callable[[], ModelBundle]) -> Embedder:
    """A tiny model with all parts and open gates."""
    return Embedder(enable_all_parts(tiny(), randomize=True), "cpu")


def score_contents(
    embedder: Embedder, clips: list[ClipContent], products: list[ProductContent]
) -> Tensor:
    shelf = embedder.encode_products(products)
    return embedder.ranker.score(embedder.encode_clips(clips), shelf)


def test_untrained_parts_do_not_change_scores(model: ModelBundle, rng: np.random.Generator) -> None:
    clips, products = draw_clips(rng), draw_products(rng)
    expected = score_contents(Embedder(model, "cpu"), clips, products)
    actual = score_contents(Embedder(enable_all_parts(model), "cpu"), clips, products)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_a_single_clip_scores_as_in_a_batch(full: Embedder, rng: np.random.Generator) -> None:
    clips, shelf = draw_clips(rng), full.encode_products(draw_products(rng))
    batched = full.ranker.score(full.encode_clips(clips), shelf)
    assert batched.isfinite().all()
    for row, clip in enumerate(clips):
        single = full.ranker.score(full.encode_clips([clip]), shelf)[0]
        torch.testing.assert_close(single, batched[row], rtol=0, atol=1e-5)


def test_scores_follow_the_order_of_products(full: Embedder, rng: np.random.Generator) -> None:
    clips, products = draw_clips(rng), draw_products(rng)
    order = torch.randperm(len(products))
    expected = score_contents(full, clips, products)[:, order]
    actual = score_contents(full, clips, [products[n] for n in order])
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_trained_parts_change_scores(
    full: Embedder, tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    clips, products = draw_clips(rng), draw_products(rng)
    untrained = Embedder(enable_all_parts(tiny()), "cpu")
    before, after = (score_contents(e, clips, products) for e in (untrained, full))
    assert (before - after)[:3].abs().max() > 0.01


def test_other_products_rank_below_the_candidates_in_their_old_order(
    full: Embedder, rng: np.random.Generator
) -> None:
    clips, shelf = full.encode_clips(draw_clips(rng)), full.encode_products(draw_products(rng))
    first_pass = full.ranker.first_pass.score(clips, shelf)
    final = full.ranker.score(clips, shelf)
    for row in range(len(clips)):
        candidates = set(first_pass[row].topk(3).indices.tolist())
        assert set(final[row].topk(3).indices.tolist()) == candidates
        others = [n for n in range(len(shelf)) if n not in candidates]
        assert torch.equal(final[row, others].argsort(), first_pass[row, others].argsort())


def test_one_product_and_no_clips_can_be_scored(full: Embedder, rng: np.random.Generator) -> None:
    shelf = full.encode_products(draw_products(rng)[:1])
    assert full.ranker.score(full.encode_clips(draw_clips(rng)), shelf).shape == (4, 1)
    assert full.ranker.score(full.encode_clips([]), shelf).shape == (0, 1)


def test_a_saved_model_loads_with_its_parts(
    full: Embedder, tmp_path: Path, rng: np.random.Generator
) -> None:
    checkpoint.save(full.model, tmp_path)
    loaded = Embedder(checkpoint.load(tmp_path), "cpu")
    clips, products = draw_clips(rng), draw_products(rng)
    before, after = (score_contents(e, clips, products) for e in (full, loaded))
    assert torch.equal(before, after)
    assert loaded.network.config == full.network.config


def test_with_parts_removes_parts_and_terms_and_keeps_the_others(full: Embedder) -> None:
    parts = replace(full.network.config.parts, enabled=("guidance",))
    reduced = full.network.with_parts(parts, ("match",))
    original = full.network.state_dict()
    for name, value in reduced.state_dict().items():
        if name != "head.text" and name != "head.cross":
            assert torch.equal(value, original[name]), name
    assert reduced.head().text.item() == 0 and reduced.head().match.item() == pytest.approx(0.3)
    assert not reduced.head.text.requires_grad
    extended = reduced.with_parts(parts, LEARNED_TERMS)
    assert extended.head().text.item() == full.network.config.text_weight  # initial, not zero


def test_every_parameter_has_a_gradient(full: Embedder, rng: np.random.Generator) -> None:
    network, preprocessor = full.network.train(), full.preprocessor
    tokens = network.encode_clip_tokens(preprocessor.prepare_clips(draw_clips(rng)))
    # A second glance at the frame, as if it were a region.
    tokens = replace(
        tokens,
        glances=tokens.images[:, :1],
        glance_patches=tokens.patches[:, :1],
        glance_frames=torch.zeros(4, 1, dtype=torch.long),
        glance_mask=tokens.image_mask[:, :1],
    )
    guidance = network.parts.guide(tokens, "clips")
    clips = network.parts.encode_guided_clips(tokens, guidance)
    products = network.encode_products(preprocessor.prepare_products(draw_products(rng)))
    candidates = torch.arange(3).expand(4, 3) + torch.arange(4)[:, None]
    scores = network.parts.rescore(clips, products, network.head(), candidates)
    (scores.square().sum() + guidance.boxes.sum()).backward()
    without_gradient = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None and "pooler" not in name and name != "head.log_logit_scale"
    ]
    assert without_gradient == []


def test_a_model_without_parts_has_no_reranker(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny(), "cpu")
    assert Ranker.from_network(embedder.network).parts is None
    shelf = embedder.encode_products(draw_products(rng))
    assert isinstance(shelf, ProductVectors) and shelf.latents.shape[1] == 0
