"""The pairwise re-ranker equals its formula, computed for one pair at a time without masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from sgmn.model.fusion import HEAD, ClipMemory, Fusion
from sgmn.model.tokens import ItemTokens
from tests.model.fusion_cases import (
    CLIP_TOKENS,
    CLIPS,
    DIM,
    PRODUCTS,
    ClipTokens,
    assert_close,
    build_fusion,
    draw_clips,
    draw_products,
    score_pairs,
)


def standardize(rows: Tensor) -> Tensor:
    rows = rows - rows.mean(-1, keepdim=True)
    return rows / rows.square().mean(-1, keepdim=True).sqrt()


def score_one_pair(
    fusion: Fusion, clips: ClipTokens, products: ItemTokens, clip: int, product: int
) -> Tensor:
    """The score of one clip and one product, without masks, batches or caches."""
    tokens = clips[0][clip][clips[1][clip]]
    patches = products.patches[product][products.patch_mask[product]]
    words = products.words[product][products.word_mask[product]]
    if not len(tokens) or not len(patches) + len(words):
        return torch.tensor(0.0)
    product_tokens = standardize(torch.cat([patches, words]))
    modality = [0] * len(patches) + [1] * len(words)
    logits = fusion.latent_queries @ product_tokens.T / DIM**0.5
    latents = torch.softmax(logits + fusion.modality_bias[:, modality], -1) @ product_tokens
    hidden = [compare_latent(fusion, tokens, latent) for latent in latents]
    score: Tensor = fusion.output(torch.stack(hidden).mean(0)).squeeze()
    return score


def compare_latent(fusion: Fusion, tokens: Tensor, latent: Tensor) -> Tensor:
    """What one latent retrieves from the tokens of a clip, compared with its own values."""
    own_values, retrieved = [], []
    clip_weight, product_weight = fusion.clip_projection.weight, fusion.product_projection.weight
    for head in range(fusion.heads):
        first = slice(head * HEAD, (head + 1) * HEAD)
        second = slice((fusion.heads + head) * HEAD, (fusion.heads + head + 1) * HEAD)
        keys = standardize(tokens @ clip_weight[first].T)
        values = standardize(tokens @ clip_weight[second].T)
        correlation = keys @ standardize(product_weight[first] @ latent) / HEAD
        attention = torch.softmax(fusion.log_sharpness[head].exp() * correlation, 0)
        retrieved.append(standardize(attention @ values))
        own_values.append(standardize(product_weight[second] @ latent))
    hidden: Tensor = fusion.hidden(torch.cat(retrieved) * torch.cat(own_values))
    return functional.gelu(hidden)


@pytest.mark.parametrize("heads", [1, 2])
def test_all_pairs_equal_one_pair_at_a_time(heads: int) -> None:
    fusion, clips, products = build_fusion(heads), draw_clips(), draw_products()
    rows = [
        torch.stack([score_one_pair(fusion, clips, products, i, j) for j in range(PRODUCTS)])
        for i in range(CLIPS)
    ]
    assert_close(score_pairs(fusion, clips, products), torch.stack(rows))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_candidates_get_the_scores_of_all_pairs(count: int) -> None:
    fusion, clips, products = build_fusion(), draw_clips(), draw_products()
    candidates = torch.stack([torch.randperm(PRODUCTS)[:count] for _ in range(CLIPS)])
    memory, latents = fusion.prepare_clips(*clips), fusion.encode_products(products)
    all_pairs = fusion(memory, latents)
    expected = all_pairs.gather(1, candidates)
    assert_close(fusion.score_candidates(memory, latents, candidates), expected)
    prepared = fusion.prepare_products(latents)
    assert_close(fusion.score_candidates(memory, prepared, candidates), expected)
    first_clip = ClipMemory(*(tensor[:1] for tensor in memory))
    scores = fusion.score_candidates(first_clip, latents, torch.tensor([[5, 0, 1]]))
    assert_close(scores, all_pairs[:1, [5, 0, 1]])


def test_prepared_products_get_the_same_scores() -> None:
    fusion, clips, products = build_fusion(), draw_clips(), draw_products()
    memory, latents = fusion.prepare_clips(*clips), fusion.encode_products(products)
    assert torch.equal(fusion(memory, fusion.prepare_products(latents)), fusion(memory, latents))


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest result, in numbers."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, Tensor):
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // 4)
        return result


def test_scoring_candidates_does_not_copy_clips() -> None:
    fusion, length, count = build_fusion(heads=1), 200, 6
    mask = torch.ones(CLIPS, length, dtype=torch.bool)
    memory = fusion.prepare_clips(torch.randn(CLIPS, length, DIM), mask)
    latents = fusion.encode_products(draw_products())
    candidates = torch.arange(count).expand(CLIPS, -1)
    with LargestTensor() as largest:
        fusion.score_candidates(memory, latents, candidates)
    assert 0 < largest.numbers <= CLIPS * length * 2 * HEAD  # the existing keys and values


def test_padding_of_a_clip_affects_neither_score_nor_gradient() -> None:
    fusion, (tokens, mask), products = build_fusion(), draw_clips(), draw_products()
    before = score_pairs(fusion, (tokens, mask), products)
    noisy = torch.where(mask.unsqueeze(-1), tokens, torch.full_like(tokens, 1e3))
    noisy.requires_grad_()
    after = score_pairs(fusion, (noisy, mask), products)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    after.square().sum().backward()
    assert noisy.grad is not None
    assert (noisy.grad[~mask] == 0).all()
    assert (noisy.grad[mask].abs().amax(-1) > 0).all()


def test_padding_of_a_product_affects_neither_score_nor_gradient() -> None:
    fusion, clips, products = build_fusion(), draw_clips(), draw_products()
    before = score_pairs(fusion, clips, products)
    patch_mask, word_mask = products.patch_mask.unsqueeze(-1), products.word_mask.unsqueeze(-1)
    patches = torch.where(patch_mask, products.patches, torch.full_like(products.patches, 1e3))
    words = torch.where(word_mask, products.words, torch.full_like(products.words, -1e3))
    noisy = replace(products, patches=patches.requires_grad_(), words=words.requires_grad_())
    after = score_pairs(fusion, clips, noisy)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    after.square().sum().backward()
    assert patches.grad is not None and words.grad is not None
    assert (patches.grad[~products.patch_mask] == 0).all()
    assert (words.grad[~products.word_mask] == 0).all()
    assert (patches.grad[products.patch_mask].abs().amax(-1) > 0).all()
    assert (words.grad[products.word_mask].abs().amax(-1) > 0).all()


def test_a_single_pair_equals_the_pair_in_a_padded_batch() -> None:
    fusion, (tokens, mask), products = build_fusion(), draw_clips(), draw_products()
    batched = score_pairs(fusion, (tokens, mask), products)
    product = replace(
        products[1:2],
        images=products.images[1:2, :1],
        image_mask=products.image_mask[1:2, :1],
        patches=products.patches[1:2, :1],
        patch_mask=products.patch_mask[1:2, :1],
        words=products.words[1:2, :2],
        word_mask=products.word_mask[1:2, :2],
    )
    single = score_pairs(fusion, (tokens[1:2, :4], mask[1:2, :4]), product)
    torch.testing.assert_close(single, batched[1:2, 1:2], atol=1e-5, rtol=0)


def test_a_missing_view_has_no_effect() -> None:
    fusion, clips, products = build_fusion(), draw_clips(), draw_products()
    complete = replace(products, patch_mask=torch.ones_like(products.patch_mask))
    no_images = replace(complete, image_mask=torch.zeros_like(products.image_mask))
    titles = replace(products, patch_mask=torch.zeros_like(products.patch_mask))
    title_latents = fusion.encode_products(titles)
    assert not torch.allclose(fusion.encode_products(complete), title_latents)
    torch.testing.assert_close(fusion.encode_products(no_images), title_latents)
    without_title = score_pairs(fusion, clips, no_images)[:, 3]
    assert torch.equal(without_title, torch.zeros(CLIPS))


def test_scores_follow_the_order_of_products() -> None:
    fusion, clips, products = build_fusion(), draw_clips(), draw_products()
    order = torch.randperm(PRODUCTS)
    expected = score_pairs(fusion, clips, products)[:, order]
    assert_close(score_pairs(fusion, clips, products[order]), expected)


def test_the_order_of_clip_tokens_does_not_matter() -> None:
    fusion, (tokens, mask), products = build_fusion(), draw_clips(), draw_products()
    order = torch.randperm(CLIP_TOKENS)
    shuffled = tokens[:, order], mask[:, order]
    expected = score_pairs(fusion, (tokens, mask), products)
    assert_close(score_pairs(fusion, shuffled, products), expected)


def test_empty_items_score_zero_and_gradients_stay_finite() -> None:
    fusion, (tokens, mask), products = build_fusion(), draw_clips(), draw_products()
    scores = score_pairs(fusion, (tokens.requires_grad_(), mask), products)
    assert torch.equal(fusion.encode_products(products)[4], torch.zeros(3, DIM))
    assert torch.equal(scores[3], torch.zeros(PRODUCTS))
    assert torch.equal(scores[:, 4], torch.zeros(CLIPS))
    assert (scores[:3, [0, 1, 2, 3, 5]] != 0).all()
    scores.square().sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


def test_axes_of_length_zero_score_zero() -> None:
    fusion, (tokens, mask), products = build_fusion(), draw_clips(), draw_products()
    zeros = torch.zeros(CLIPS, PRODUCTS)
    assert torch.equal(score_pairs(fusion, (tokens[:, :0], mask[:, :0]), products), zeros)
    empty = replace(products, words=products.words[:, :0], word_mask=products.word_mask[:, :0])
    empty = replace(empty, patches=empty.patches[:, :, :0], patch_mask=empty.patch_mask[:, :, :0])
    assert torch.equal(score_pairs(fusion, (tokens, mask), empty), zeros)
