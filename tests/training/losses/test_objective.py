"""The objective: which losses it contains, and that every row gets a finite gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sgmn.model.scoring import compute_terms
from sgmn.model.tokens import ItemTokens
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import positive_mask
from sgmn.training.data.token_edits import remove_frames, remove_text
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.grounding import Grounding, grounding_loss
from sgmn.training.losses.objective import Objective
from tests.training.losses.batch import (
    CANDIDATES,
    LABELS,
    TARGETS,
    B,
    S,
    T,
    backward,
    full_network,
    gradients,
    random_tokens,
)

NO_TRIPLETS = LossConfig(triplet=0.0, grounding=0.3, hard_negatives=3)


def test_a_weight_of_zero_disables_a_loss(tiny: Callable[[], Any]) -> None:
    full = backward(full_network(tiny()), LossConfig(hard_negatives=3))
    assert set(full.losses) == {"score", "text", "triplet", "pair"}
    assert float(full.loss.detach()) == pytest.approx(sum(full.losses.values()), rel=1e-5)
    score_only = LossConfig(text=0.0, triplet=0.0, pair=0.0)
    assert set(backward(full_network(tiny()), score_only).losses) == {"score"}
    no_mining = LossConfig(mining=False, hard_negatives=3)
    losses = backward(full_network(tiny()), no_mining).losses
    assert set(losses) == {"score", "text", "pair"}  # the second pass is still trained


def without_images(tokens: ItemTokens) -> ItemTokens:
    return replace(tokens, image_mask=torch.zeros_like(tokens.image_mask))


def test_text_reliability_is_learned_from_its_own_loss(tiny: Callable[[], Any]) -> None:
    """Not from the score: without images, scaling the text score changes no ranking."""
    gradient = {}
    for weight in (0.0, 1.0):
        network = full_network(tiny())
        dim = network.towers.dim
        config = LossConfig(triplet=0.0, pair=0.0, text_reliability=weight)
        objective = Objective(dim, config, torch.arange(S))
        clips = network.parts.encode_clips(without_images(random_tokens(B, dim, 1)))
        products = network.parts.encode_products(without_images(random_tokens(S, dim, 2)))
        result = objective(network, clips, products, TARGETS, CANDIDATES)
        torch.autograd.backward(result.loss)
        assert network.parts.text_pooling is not None
        grad = network.parts.text_pooling.reliability.weight.grad
        gradient[weight] = 0.0 if grad is None else float(grad.abs().sum())
        assert ("text_reliability" in result.losses) == (weight > 0)
    logits = clips.text @ products.text.T * network.head().logit_scale
    logits = logits * clips.text_reliability[:, None]
    ignored = torch.zeros(B, S, dtype=torch.bool)
    expected = info_nce(logits, positive_mask(TARGETS, CANDIDATES), ignored)
    assert result.losses["text_reliability"] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert gradient[0.0] < gradient[1.0] / 1000


def test_a_visual_term_has_a_loss_over_the_clips_with_what_it_compares(
    tiny: Callable[[], Any],
) -> None:
    network = full_network(tiny())
    clips = network.parts.encode_clips(random_tokens(B, network.towers.dim, 1))
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    looked_twice = torch.arange(B) > 0
    weights = clips.glance_weights * looked_twice[:, None]
    clips = replace(clips, glance_weights=weights)
    config = LossConfig(text=0.0, triplet=0.0, pair=0.0, late=0.5)
    result = Objective(network.towers.dim, config, torch.arange(S))(
        network, clips, products, TARGETS, CANDIDATES
    )
    term = compute_terms(clips, products, network.head())["late"]
    logits = term.value[1:] * network.head().logit_scale
    expected = info_nce(logits, positive_mask(TARGETS[1:], CANDIDATES))
    assert set(result.losses) == {"score", "late"}
    assert result.losses["late"] == pytest.approx(0.5 * float(expected.detach()), rel=1e-5)


def test_the_grounding_loss_ignores_labels_of_padding(tiny: Callable[[], Any]) -> None:
    """The value is that of the loss itself, with the weight of the config."""
    network = full_network(tiny())
    kept = torch.rand(B, T, generator=torch.Generator().manual_seed(6)) > 0.3
    tokens = remove_frames(random_tokens(B, network.towers.dim, 1), ~kept)
    tokens.patch_mask[:, :, -1] = False
    guided = network.parts.guide(tokens, "clips")
    clips = network.parts.encode_guided_clips(tokens, guided)
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, NO_TRIPLETS, torch.arange(S))
    losses = []
    for fill in (False, True):
        labels = LABELS.map_tensors(Tensor.clone)
        labels.box_mask[~kept], labels.visible[~kept] = fill, fill
        labels.boxes[~kept] = float(fill) * torch.tensor([0.1, 0.2, 0.3, 0.4])
        labels.box_mask[..., -1] &= labels.box_mask[..., :-1].any(-1) & fill
        grounding = Grounding.compare(guided, tokens.image_mask, labels)
        result = objective(network, clips, products, TARGETS, CANDIDATES, grounding)
        losses.append(result.losses["grounding"])
    expected = 0.3 * float(grounding_loss(grounding).detach())
    assert losses[0] == losses[1] == pytest.approx(expected, rel=1e-5)
    assert expected > 0.1


def test_duplicates_are_not_negatives_of_each_other(tiny: Callable[[], Any]) -> None:
    """Products 5 and 6 are duplicates: moving 6 must not change the loss of clip 5."""
    network = full_network(tiny())
    dim = network.towers.dim
    objective = Objective(dim, NO_TRIPLETS, torch.tensor([0, 1, 2, 3, 4, 5, 5]))
    clips = network.parts.encode_clips(random_tokens(B, dim, 1)[5:])
    products = network.parts.encode_products(random_tokens(S, dim, 2)[[5, 6]])
    other = network.parts.encode_products(random_tokens(S, dim, 9)[[5, 6]])
    fields = ("image", "text", "latents")
    moved = {n: torch.cat([getattr(products, n)[:1], getattr(other, n)[1:]]) for n in fields}
    candidates = torch.tensor([5, 6])
    before, after = (
        objective(network, clips, p, TARGETS[5:], candidates)
        for p in (products, replace(products, **moved))
    )
    assert before.loss.item() == pytest.approx(after.loss.item(), abs=1e-6)
    assert before.skipped == 1  # no negative is left


def test_every_row_gets_a_gradient(tiny: Callable[[], Any]) -> None:
    network = full_network(tiny())
    tokens = random_tokens(B, network.towers.dim, 1)
    images = tokens.images.clone().requires_grad_()
    clips = network.parts.encode_clips(replace(tokens, images=images))
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, LossConfig(hard_negatives=3), torch.arange(S))
    result = objective(network, clips, products, TARGETS, CANDIDATES)
    torch.autograd.backward(result.loss)
    assert images.grad is not None and bool((images.grad.abs().sum((1, 2)) > 0).all())


def test_rows_without_text_or_frames_keep_everything_finite(tiny: Callable[[], Any]) -> None:
    network = full_network(tiny())
    silent = torch.tensor([True, False, True, False, False, False])
    dropped = torch.zeros(B, T, dtype=torch.bool)
    dropped[1] = True
    tokens = remove_text(random_tokens(B, network.towers.dim, 1), silent)
    clips = network.parts.encode_clips(remove_frames(tokens, dropped))
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, LossConfig(hard_negatives=3), torch.arange(S))
    result = objective(network, clips, products, TARGETS, CANDIDATES)
    torch.autograd.backward(result.loss)
    assert result.loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(network).values())
