"""The second pass learns from clips and products together, never from products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sgmn.model.network import SGMN
from sgmn.training.data.batches import sells
from sgmn.training.losses.pairwise import Pairs
from tests.training.losses.test_objective import LISTED, SOLD, B, S, full, gradients, tokens

CLASSES = torch.arange(S)
POSITIVE = sells(SOLD, LISTED)
NEVER_SOLD = 6
EVER = torch.arange(S) != NEVER_SOLD


def loss_of(network: SGMN, sold: Tensor, latents: Tensor | None = None) -> Tensor:
    clips = network.parts.clips(tokens(B, network.towers.dim, 1))
    products = network.parts.products(tokens(S, network.towers.dim, 2))
    if latents is not None:
        products = replace(products, latents=latents)
    pairs = Pairs(S, True, sold)
    loss, _ = pairs(network, clips, products, POSITIVE, CLASSES, LISTED)
    return loss


def latents_of(network: SGMN) -> Tensor:
    products = network.parts.products(tokens(S, network.towers.dim, 2))
    return products.latents.detach().requires_grad_()


def test_a_product_that_no_example_sells_is_never_a_negative(tiny: Callable[[], Any]) -> None:
    network = full(tiny())
    latents = latents_of(network)
    grad = torch.autograd.grad(loss_of(network, EVER, latents), latents)[0].flatten(1)
    assert (grad[NEVER_SOLD] == 0).all()
    assert (grad[EVER].abs().sum(1) > 0).all()
    every = torch.autograd.grad(loss_of(network, EVER | True, latents), latents)[0].flatten(1)
    assert every[NEVER_SOLD].abs().sum() > 0


def test_what_a_product_says_of_all_clips_alike_is_not_rewarded_both_ways(
    tiny: Callable[[], Any],
) -> None:
    """Without a clip's tokens fusion could only learn products; half of the loss cannot move."""
    network = full(tiny())
    fusion = network.parts.fusion
    assert fusion is not None
    shares = torch.zeros(S, requires_grad=True)

    def alone(side: Any, latents: Any) -> Tensor:
        return shares.expand(B, S)

    fusion.forward = alone
    torch.autograd.backward(loss_of(network, EVER))
    assert shares.grad is not None
    assert shares.grad.abs().max() < 1e-6


def test_both_ways_reach_the_weights_of_fusion(tiny: Callable[[], Any]) -> None:
    network = full(tiny())
    torch.autograd.backward(loss_of(network, EVER))
    found = gradients(network)
    assert all(g.abs().sum() > 0 for name, g in found.items() if "parts.fusion" in name)
