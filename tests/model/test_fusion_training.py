"""The pairwise re-ranker changes nothing before training, and learns to tell twins apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import normalize

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens
from tests.model.fusion_cases import (
    CLIPS,
    DIM,
    PRODUCTS,
    build_fusion,
    draw_clips,
    draw_products,
    score_pairs,
)


def test_an_untrained_fusion_changes_nothing_and_has_a_gradient() -> None:
    fusion = Fusion(DIM, latents=3)
    scores = score_pairs(fusion, draw_clips(), draw_products())
    assert torch.equal(scores, torch.zeros(CLIPS, PRODUCTS))
    scores[0, 0].backward()
    gradient = fusion.output.weight.grad
    assert gradient is not None and gradient.abs().min() > 0


def test_an_untrained_query_retrieves_the_most_similar_token() -> None:
    torch.manual_seed(2)
    fusion = Fusion(128)
    latents, tokens = torch.randn(PRODUCTS, 8, 128), torch.randn(1, 60, 128)
    tokens[0, :8] = latents[0] + 0.3 * torch.randn(8, 128)
    memory = fusion.prepare_clips(tokens, torch.ones(1, 60, dtype=torch.bool))
    product = fusion.prepare_products(latents[:1])
    retrieved = (product.queries[0] @ memory.keys[0].mT).argmax(-1)
    assert torch.equal(retrieved, torch.arange(8)[None])
    clip_values, product_values = memory.values[0, 0, :8], product.values[0]
    assert functional.cosine_similarity(clip_values, product_values, dim=-1).min() > 0.8


def test_every_parameter_has_a_gradient() -> None:
    fusion = build_fusion()
    score_pairs(fusion, draw_clips(), draw_products()).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad.abs().sum(-1) > 0).all(), name


def products_with_one_image(patches: Tensor) -> ItemTokens:
    """Products (S, N, D) with one image each and no title."""
    count, dim = len(patches), patches.shape[-1]
    mask = torch.ones(count, 1, patches.shape[1], dtype=torch.bool)
    return ItemTokens(
        images=normalize(patches.mean(1, keepdim=True), dim=-1),
        image_mask=torch.ones(count, 1, dtype=torch.bool),
        patches=patches[:, None],
        patch_mask=mask,
        patch_positions=torch.rand(*mask.shape, 2),
        words=torch.zeros(count, 0, dim),
        word_mask=torch.zeros(count, 0, dtype=torch.bool),
        text=torch.zeros(count, dim),
        has_text=torch.zeros(count, dtype=torch.bool),
    )


def draw_twins(count: int) -> tuple[Tensor, Tensor]:
    """Draw clips (B, L, 32) and products (2·B, N, 32): the true products, then their twins.

    A patch consists of 16 numbers for a material and 16 for a label. Twins differ in the label of
    one patch. A clip shows the true product beside another object with the twin's label. Its
    pooled vector contains both labels equally; only the combination of material and label tells
    the twins apart.
    """

    def draw(patches: int) -> Tensor:
        return normalize(torch.randn(count, patches, 16), dim=-1)

    def attach_label(material: Tensor, label: Tensor) -> Tensor:
        plain = torch.cat([material, torch.zeros_like(material)], -1)
        mean = normalize(material.mean(1, keepdim=True), dim=-1)
        return torch.cat([plain, torch.cat([mean, label], -1)], 1)

    material, label, other_label = draw(4), draw(1), draw(1)
    clip = [attach_label(material, label), attach_label(draw(4), other_label)]
    products = [attach_label(material, label), attach_label(material, other_label)]
    return torch.cat(clip, 1), torch.cat(products)


def compute_margin(fusion: Fusion, clips: Tensor, products: Tensor) -> Tensor:
    """The score of the true product minus that of its twin (B,)."""
    memory = fusion.prepare_clips(clips, torch.ones(clips.shape[:2], dtype=torch.bool))
    candidates = torch.arange(len(products)).view(2, -1).T
    latents = fusion.encode_products(products_with_one_image(products))
    scores = fusion.score_candidates(memory, latents, candidates)
    return scores[:, 0] - scores[:, 1]


def test_it_learns_to_tell_apart_twins_that_pooling_cannot() -> None:
    torch.manual_seed(4)
    fusion = Fusion(32)
    clips, products = draw_twins(300)
    true, twin = normalize(products.mean(1), dim=-1).chunk(2)
    pooled = normalize(clips.mean(1), dim=-1)
    assert (pooled * (true - twin)).sum(-1).abs().max() < 1e-6
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        functional.softplus(-compute_margin(fusion, *draw_twins(32))).mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert (compute_margin(fusion, clips, products) > 0).float().mean() > 0.95
