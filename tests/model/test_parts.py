"""Parts above the towers: fresh ones change nothing, masks are exact, the second pass scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.model import backbones, checkpoint
from sgmn.model.bundle import Model
from sgmn.model.embedder import Embedder
from sgmn.model.parts import PARTS
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import LEARNED_TERMS, ProductVectors
from sgmn.records import ClipContent, ProductContent
from tests.conftest import noise

ALL = LEARNED_TERMS


def with_all(model: Model, opened: bool = False) -> Model:
    """The model with every part, fresh or with its gates opened at random."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        parts = replace(model.network.config.parts, enabled=PARTS, candidates=3, latents=4)
        network = model.network.with_parts(parts, ALL).eval()
        if opened:
            with torch.no_grad():
                for parameter in network.parts.parameters():
                    parameter.add_(0.2 * torch.randn_like(parameter))
                network.head.match.fill_(0.3)
                network.head.cross.fill_(0.1)
    return Model(network, model.tokenizer, model.name)


def some_clips(rng: np.random.Generator) -> list[ClipContent]:
    """Clips of different lengths, one silent, one without a picture."""
    shown = [tuple(noise(rng, 40, 30) for _ in range(n)) for n in (3, 1, 4)]
    texts = ("red jar", "", "blue box on the table")
    clips = [ClipContent(f, t) for f, t in zip(shown, texts, strict=True)]
    return [*clips, ClipContent((), "green")]


def some_products(rng: np.random.Generator) -> list[ProductContent]:
    titled = [ProductContent((noise(rng, 30, 30),), f"item {n}") for n in range(5)]
    views = (noise(rng, 40, 30), noise(rng, 30, 30))
    return [*titled, ProductContent(views, "red box"), ProductContent((), "blue"),
            ProductContent((noise(rng),), "")]  # fmt: skip


@pytest.fixture(params=["composed", "clip", "siglip", "chinese_clip"])
def model(
    request: pytest.FixtureRequest, tiny: Callable[[], Any], backbone: Callable[[str], Any]
) -> Model:
    if request.param == "composed":
        return tiny()
    return backbones.load_pretrained(str(backbone(request.param)))


def test_fresh_parts_change_no_score(model: Model, rng: np.random.Generator) -> None:
    """Untrained means identity: mean-pooled backbone retrieval, to 1e-5."""
    clips, products = some_clips(rng), some_products(rng)
    plain, full = Embedder(model, "cpu"), Embedder(with_all(model), "cpu")
    expected = plain.ranker.score(plain.encode_clips(clips), plain.encode_products(products))
    found = full.ranker.score(full.encode_clips(clips), full.encode_products(products))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_lone_clip_scores_as_in_a_batch(tiny: Callable[[], Any], rng: Any) -> None:
    used = Embedder(with_all(tiny(), opened=True), "cpu")
    clips, shelf = some_clips(rng), used.encode_products(some_products(rng))
    together = used.ranker.score(used.encode_clips(clips), shelf)
    assert together.isfinite().all()
    for row, clip in enumerate(clips):
        alone = used.ranker.score(used.encode_clips([clip]), shelf)[0]
        torch.testing.assert_close(alone, together[row], rtol=0, atol=1e-5)


def test_a_permuted_shelf_permutes_the_scores(tiny: Callable[[], Any], rng: Any) -> None:
    used = Embedder(with_all(tiny(), opened=True), "cpu")
    clips, products = used.encode_clips(some_clips(rng)), some_products(rng)
    order = torch.randperm(len(products))
    expected = used.ranker.score(clips, used.encode_products(products))[:, order]
    found = used.ranker.score(clips, used.encode_products([products[n] for n in order]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_opened_parts_do_change_scores(tiny: Callable[[], Any], rng: Any) -> None:
    clips, products = some_clips(rng), some_products(rng)
    scores = []
    for opened in (False, True):
        used = Embedder(with_all(tiny(), opened), "cpu")
        scores.append(used.ranker.score(used.encode_clips(clips), used.encode_products(products)))
    assert (scores[0] - scores[1])[:3].abs().max() > 0.01


def test_no_product_outside_the_candidates_gets_above_them(
    tiny: Callable[[], Any], rng: Any
) -> None:
    used = Embedder(with_all(tiny(), opened=True), "cpu")
    clips, shelf = used.encode_clips(some_clips(rng)), used.encode_products(some_products(rng))
    first = used.ranker.first_pass.score(clips, shelf)
    final = used.ranker.score(clips, shelf)
    for row in range(len(clips)):
        candidates = set(first[row].topk(3).indices.tolist())
        assert set(final[row].topk(3).indices.tolist()) == candidates
        others = [n for n in range(len(shelf)) if n not in candidates]
        kept, was = final[row, others].argsort(), first[row, others].argsort()
        assert torch.equal(kept, was)  # what the second pass does not see keeps its order


def test_a_small_shelf_and_no_clip(tiny: Callable[[], Any], rng: Any) -> None:
    used = Embedder(with_all(tiny(), opened=True), "cpu")
    shelf = used.encode_products(some_products(rng)[:1])
    assert used.ranker.score(used.encode_clips(some_clips(rng)), shelf).shape == (4, 1)
    assert used.ranker.score(used.encode_clips([]), shelf).shape == (0, 1)


def test_parts_come_back_from_disk(tiny: Callable[[], Any], tmp_path: Any, rng: Any) -> None:
    model = with_all(tiny(), opened=True)
    checkpoint.save(model, tmp_path)
    again = Embedder(checkpoint.load(tmp_path), "cpu")
    used = Embedder(model, "cpu")
    clips, products = some_clips(rng), some_products(rng)
    found = [
        one.ranker.score(one.encode_clips(clips), one.encode_products(products))
        for one in (used, again)
    ]
    assert torch.equal(*found)
    assert again.network.config == model.network.config


def test_left_out_parts_and_terms_are_gone_and_others_stay(tiny: Callable[[], Any]) -> None:
    full = with_all(tiny(), opened=True).network
    parts = replace(full.config.parts, enabled=("guidance",))
    less = full.with_parts(parts, ("match",))
    held = full.state_dict()
    for name, value in less.state_dict().items():
        if name != "head.text" and name != "head.cross":
            assert torch.equal(value, held[name]), name
    assert less.head().text.item() == 0 and less.head().match.item() == pytest.approx(0.3)
    assert not less.head.text.requires_grad
    again = less.with_parts(parts, ALL)
    assert again.head().text.item() == full.config.text_weight  # fresh, not zero


def test_every_learnt_parameter_gets_a_gradient(tiny: Callable[[], Any], rng: Any) -> None:
    network = with_all(tiny(), opened=True).network.train()
    prepare = tiny().preprocessor
    clips = network.encode_clips(prepare.prepare_clips(some_clips(rng)))
    products = network.encode_products(prepare.prepare_products(some_products(rng)))
    places = torch.arange(3).expand(4, 3) + torch.arange(4)[:, None]
    network.parts.rescore(clips, products, network.head(), places).square().sum().backward()
    silent = [
        name
        for name, p in network.named_parameters()
        if p.grad is None and "pooler" not in name and name != "head.log_logit_scale"
    ]
    assert silent == []


def test_a_ranker_without_parts_is_the_first_pass(tiny: Callable[[], Any], rng: Any) -> None:
    used = Embedder(tiny(), "cpu")
    assert Ranker.from_network(used.network).parts is None
    shelf = used.encode_products(some_products(rng))
    assert isinstance(shelf, ProductVectors) and shelf.latents.shape[1] == 0
