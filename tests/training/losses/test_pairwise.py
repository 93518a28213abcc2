"""The second pass learns from clips and products together, never from products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sgmn.model.network import SGMN
from sgmn.training.data.batches import positive_mask
from sgmn.training.losses.pairwise import PairwiseLoss
from tests.training.losses.batch import (
    CANDIDATES,
    TARGETS,
    B,
    S,
    full_network,
    gradients,
    random_tokens,
)

CLASSES = torch.arange(S)
POSITIVE = positive_mask(TARGETS, CANDIDATES)
NEVER_SOLD = 6
IS_SOLD = torch.arange(S) != NEVER_SOLD


def loss_of(network: SGMN, is_sold: Tensor, latents: Tensor | None = None) -> Tensor:
    clips = network.parts.encode_clips(random_tokens(B, network.towers.dim, 1))
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    if latents is not None:
        products = replace(products, latents=latents)
    pairwise = PairwiseLoss(S, True, is_sold)
    loss, _ = pairwise(network, clips, products, POSITIVE, CLASSES, CANDIDATES)
    return loss


def latents_of(network: SGMN) -> Tensor:
    products = network.parts.encode_products(random_tokens(S, network.towers.dim, 2))
    return products.latents.detach().requires_grad_()


def test_a_product_that_no_example_sells_is_never_a_negative(tiny: Callable[[], Any]) -> None:
    network = full_network(tiny())
    latents = latents_of(network)
    grad = torch.autograd.grad(loss_of(network, IS_SOLD, latents), latents)[0].flatten(1)
    assert (grad[NEVER_SOLD] == 0).all()
    assert (grad[IS_SOLD].abs().sum(1) > 0).all()
    all_sold = torch.ones_like(IS_SOLD)
    grad = torch.autograd.grad(loss_of(network, all_sold, latents), latents)[0].flatten(1)
    assert grad[NEVER_SOLD].abs().sum() > 0


def test_a_constant_for_all_clips_of_a_product_is_not_rewarded(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fusion that ignores the clip can only learn products; half of the loss cannot move."""
    network = full_network(tiny())
    assert network.parts.fusion is not None
    constants = torch.zeros(S, requires_grad=True)
    ignore_clips = lambda clips, products: constants.expand(B, S)  # noqa: E731
    monkeypatch.setattr(network.parts.fusion, "forward", ignore_clips)
    torch.autograd.backward(loss_of(network, IS_SOLD))
    assert constants.grad is not None
    assert constants.grad.abs().max() < 1e-6


def test_both_directions_reach_the_weights_of_fusion(tiny: Callable[[], Any]) -> None:
    network = full_network(tiny())
    torch.autograd.backward(loss_of(network, IS_SOLD))
    found = gradients(network)
    assert all(g.abs().sum() > 0 for name, g in found.items() if "parts.fusion" in name)
