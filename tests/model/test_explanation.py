"""Explanations consist of the values that the score was computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.errors import SgmnError
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.explanation import (
    FUSION,
    INTERACTION,
    NOT_COMPARABLE,
    AttentionMap,
    Explanation,
    ProductExplanation,
    compute_heatmap,
    explain,
)
from sgmn.model.guidance import Guidance
from sgmn.model.heatmap import Heatmap
from sgmn.records import ClipContent, ProductContent
from tests.conftest import noise
from tests.model.part_cases import draw_clips, draw_products, enable_all_parts


@pytest.fixture
def full(tiny: Callable[[], ModelBundle]) -> Embedder:
    """A model with every part and open gates."""
    embedder = Embedder(enable_all_parts(tiny(), randomize=True), "cpu")
    with torch.no_grad():
        for guidance in embedder.network.parts.guidance.values():
            assert isinstance(guidance, Guidance)
            guidance.gate.fill_(0.1)
            guidance.time_gain.fill_(1.0)
    return embedder


@pytest.fixture(params=["plain", "full"])
def embedder(
    request: pytest.FixtureRequest, tiny: Callable[[], ModelBundle], full: Embedder
) -> Embedder:
    return full if request.param == "full" else Embedder(tiny(), "cpu")


def explain_all(
    embedder: Embedder, clip: ClipContent, products: list[ProductContent]
) -> tuple[Explanation, list[float]]:
    """The explanation of a clip with all products, and the scores of the ranker."""
    shelf = embedder.encode_products(products)
    scores = embedder.ranker.score(embedder.encode_clips([clip]), shelf)[0].tolist()
    return explain(embedder, clip, shelf, dict(enumerate(products))), scores


def sum_contributions(product: ProductExplanation) -> float:
    terms = sum(term.contribution for term in product.terms)
    return terms + sum(product.adjustments.values())


def heatmap_of(attention: AttentionMap) -> Heatmap:
    assert attention.heatmap is not None
    return attention.heatmap


def test_contributions_add_up_to_the_score(embedder: Embedder, rng: np.random.Generator) -> None:
    """Also if modalities are missing, and for products that are not re-ranked."""
    products = draw_products(rng)
    for clip in draw_clips(rng)[:3]:
        explanation, scores = explain_all(embedder, clip, products)
        assert [product.index for product in explanation.products] == list(range(len(products)))
        for product in explanation.products:
            assert product.score == pytest.approx(scores[product.index], abs=1e-5)
            assert sum_contributions(product) == pytest.approx(product.score, abs=1e-5)


def test_a_contribution_is_the_rescaled_weighted_value(
    full: Embedder, rng: np.random.Generator
) -> None:
    clip, products = draw_clips(rng)[0], draw_products(rng)
    explanation, _ = explain_all(full, clip, products)
    clips, shelf = full.encode_clips([clip]), full.encode_products(products)
    weights = full.ranker.weights
    terms = {term.name: term for term in explanation.products[0].terms}
    assert set(terms) == {"image", "text", "match", "text-image", "image-text"}
    value = float(clips.text[0] @ shelf.text[0])
    assert terms["text"].value == pytest.approx(value, abs=1e-6)
    weight = float(weights.text * clips.text_reliability)
    assert terms["text"].weight == pytest.approx(weight, abs=1e-6)
    total = float(1 + weights.match + weights.text + weights.cross)
    scale = total / sum(term.weight for term in terms.values())
    assert terms["text"].contribution == pytest.approx(scale * weight * value, abs=1e-5)


def test_missing_terms_contribute_nothing(embedder: Embedder, rng: np.random.Generator) -> None:
    clip = ClipContent((noise(rng),))
    explanation, _ = explain_all(embedder, clip, [ProductContent((noise(rng),), "red box")])
    text_terms = {"text", "text-image"}
    terms = explanation.products[0].terms
    assert all((term.name in text_terms) == (not term.present) for term in terms)
    assert all(term.contribution == 0 for term in terms if not term.present)
    total = sum(term.weight for term in terms)
    present = sum(term.weight for term in terms if term.present)
    image = terms[0]
    assert image.contribution == pytest.approx(image.value * total / present, abs=1e-6)


def test_a_deselected_modality_contributes_nothing(
    full: Embedder, rng: np.random.Generator
) -> None:
    clip, products = draw_clips(rng)[0], draw_products(rng)[:2]
    shelf = full.encode_products(products).select_modalities(("image",))
    assert shelf.text[0].norm() > 0  # the vector exists, but counts as missing
    for product in explain(full, clip, shelf, dict(enumerate(products))).products:
        assert {t.name for t in product.terms if not t.present} == {"text", "image-text"}
        assert sum_contributions(product) == pytest.approx(product.score, abs=1e-5)


def test_a_pair_without_common_modality_is_marked(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny(), "cpu")
    clip, product = ClipContent((noise(rng),)), ProductContent((), "red box")
    explanation, scores = explain_all(embedder, clip, [product])
    (explained,) = explanation.products
    assert dict(explained.adjustments) == {NOT_COMPARABLE: pytest.approx(scores[0])}
    assert explained.frame_similarities == () and explained.views == ()


def test_adjustments_are_the_changes_by_the_reranker(
    full: Embedder, rng: np.random.Generator
) -> None:
    clip, products = draw_clips(rng)[0], draw_products(rng)
    explanation, scores = explain_all(full, clip, products)
    shelf = full.encode_products(products)
    first_pass = full.ranker.first_pass.score(full.encode_clips([clip]), shelf)[0]
    candidates = set(first_pass.topk(3).indices.tolist())
    for product in explanation.products:
        expected = {FUSION, INTERACTION} if product.index in candidates else {INTERACTION}
        assert set(product.adjustments) == expected
        change = scores[product.index] - float(first_pass[product.index])
        assert sum(product.adjustments.values()) == pytest.approx(change, abs=1e-5)


def test_a_pairwise_score_of_zero_is_no_adjustment(
    full: Embedder, rng: np.random.Generator
) -> None:
    fusion = full.network.parts.fusion
    assert fusion is not None
    fusion.output.weight.data.zero_()
    explanation, _ = explain_all(full, draw_clips(rng)[0], draw_products(rng))
    for product in explanation.products:
        assert product.adjustments.get(FUSION, 0.0) == 0.0


def test_each_image_gets_its_own_patch_weights(
    full: Embedder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weight on the last patch of an image is at the last corner of its heatmap."""
    clip = ClipContent((noise(rng, 64, 48), noise(rng, 50, 50)), "red jar")
    guide = full.network.parts.guide

    def guide_to_last_patch(tokens: Any, side: Any) -> Any:
        guidance = guide(tokens, side)
        weights = torch.zeros_like(guidance.patch_weights)
        for image, count in enumerate(tokens.patch_mask[0].sum(-1).tolist()):
            weights[:, image, max(count - 1, 0)] = 1.0
        return guidance._replace(patch_weights=weights)

    product = ProductContent((noise(rng, 50, 50),), "red jar")
    shelf = full.encode_products([product])
    monkeypatch.setattr(full.network.parts, "guide", guide_to_last_patch)
    explanation = explain(full, clip, shelf, {0: product})
    for attention, image in zip(explanation.frames, clip.frames, strict=True):
        heatmap = heatmap_of(attention)
        assert heatmap.shape == image.shape[:2]
        assert np.unravel_index(heatmap.argmax(), heatmap.shape)[0] > image.shape[0] / 2
        assert heatmap[-1, -1] == heatmap.max() and heatmap.sum() == pytest.approx(1.0)


def test_frame_weights_are_those_of_the_model(full: Embedder, rng: np.random.Generator) -> None:
    clip, product = draw_clips(rng)[2], ProductContent((noise(rng, 40, 30), noise(rng)), "box")
    explanation, _ = explain_all(full, clip, [product])
    vectors = full.encode_clips([clip])
    weights = [attention.weight for attention in explanation.frames]
    np.testing.assert_allclose(weights, vectors.frame_weights[0], atol=1e-6)
    assert len(set(weights)) > 1 and sum(weights) == pytest.approx(1.0, abs=1e-5)
    expected = vectors.frames[0] @ full.encode_products([product]).image[0]
    similarities = explanation.products[0].frame_similarities
    np.testing.assert_allclose(similarities, expected, atol=1e-5)


def test_view_weights_are_those_of_the_model(full: Embedder, rng: np.random.Generator) -> None:
    clip, product = draw_clips(rng)[2], ProductContent((noise(rng, 40, 30), noise(rng)), "box")
    explanation, _ = explain_all(full, clip, [product])
    tokens = full.network.encode_product_tokens(full.preprocessor.prepare_products([product]))
    with torch.inference_mode():
        guidance = full.network.parts.guide(tokens, "products")
    views = explanation.products[0].views
    weights = [view.weight for view in views]
    np.testing.assert_allclose(weights, guidance.frame_weights[0], atol=1e-6)
    assert len(views) == 2 and views[0].weight != views[1].weight
    assert views[1].heatmap is not None
    heatmap = heatmap_of(views[0])  # of an image that fills its canvas
    np.testing.assert_allclose(heatmap.sum(), 1.0, atol=1e-5)
    peak = guidance.patch_weights[0, 0].max() * guidance.patch_weights.shape[-1]
    assert heatmap.max() * heatmap.size == pytest.approx(float(peak), rel=0.1)


def test_a_clip_without_text_has_heatmaps_and_no_words(
    embedder: Embedder, rng: np.random.Generator
) -> None:
    explanation, _ = explain_all(embedder, ClipContent((noise(rng),)), draw_products(rng)[:2])
    assert explanation.words == () and len(explanation.frames) == 1
    for attention in explanation.frames:
        assert attention.heatmap is None or np.isfinite(attention.heatmap).all()


def test_a_clip_without_frames_is_refused(embedder: Embedder, rng: np.random.Generator) -> None:
    products = draw_products(rng)[:2]
    with pytest.raises(SgmnError, match="no frame to explain"):
        explain_all(embedder, ClipContent((), "red jar"), products)


def test_a_model_without_guidance_has_uniform_weights(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny(), "cpu")
    explanation, _ = explain_all(embedder, draw_clips(rng)[0], draw_products(rng)[:2])
    assert not explanation.has_guidance
    assert all(attention.heatmap is None for attention in explanation.frames)
    assert [attention.weight for attention in explanation.frames] == pytest.approx([1 / 3] * 3)
    assert [word.text for word in explanation.words] == ["red", "jar"]
    assert [word.weight for word in explanation.words] == pytest.approx([0.5, 0.5])


def test_word_weights_are_those_of_the_text_pooling(
    full: Embedder, rng: np.random.Generator
) -> None:
    """A text of several pieces has as many weights as the network has words, in its order."""
    text = "red milk today we have for you this is the green apple juice hello blue box zzz"
    clip = ClipContent((noise(rng),), text)
    explanation, _ = explain_all(full, clip, draw_products(rng)[:1])
    assert [word.text for word in explanation.words] == text.split()
    texts = full.preprocessor.tokenize_texts([text])
    assert len(texts.ids) == 2
    is_special = torch.isin(texts.ids[texts.mask], torch.tensor([1, 2]))  # BOS and EOS
    tokens = full.build_tokens([full.encode_images(clip.frames)], [text])
    parts = full.network.parts
    assert parts.text_pooling is not None
    with torch.inference_mode():
        context = parts.contextualize(tokens)
        weights = parts.text_pooling.compute_weights(context.words, context.word_mask)
    expected = weights[0][~is_special] / weights[0][~is_special].sum()
    found = [word.weight for word in explanation.words]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(set(expected.tolist())) > 1


def test_word_weights_without_text_pooling_are_those_of_the_guidance(
    full: Embedder, rng: np.random.Generator
) -> None:
    full.network.parts.text_pooling = None
    clip = ClipContent((noise(rng),), "red milk today")
    explanation, _ = explain_all(full, clip, draw_products(rng)[:1])
    tokens = full.build_tokens([full.encode_images(clip.frames)], [clip.text])
    with torch.inference_mode():
        weights = full.network.parts.guide(tokens, "clips").word_weights[0][1:-1]
    found = [word.weight for word in explanation.words]
    np.testing.assert_allclose(found, weights / weights.sum(), atol=1e-6)


def test_the_heatmap_of_a_frame_depends_on_the_text(
    full: Embedder, tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    image = noise(rng, 40, 30)
    red, blue = (compute_heatmap(full, image, text) for text in ("red milk", "blue apple"))
    assert red is not None and blue is not None
    assert red.shape == (40, 30) and red.sum() <= 1 + 1e-6
    assert np.abs(red - blue).max() > 0
    assert compute_heatmap(Embedder(tiny(), "cpu"), image, "red milk") is None
