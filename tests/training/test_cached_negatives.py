"""Several batches with cached negatives give the gradient of one large batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sgmn.model.network import SGMN
from sgmn.training.cached_negatives import CachedNegatives
from sgmn.training.config import LossConfig
from sgmn.training.losses.objective import Objective
from sgmn.training.training_step import SeparateBatches
from tests.training.conftest import MakeTrainer, read_losses
from tests.training.losses.batch import S, backward, batch_of, full_network, gradients

# Triplets are drawn at random.
LOSS = LossConfig(triplet=0.0, grounding=0.3, hard_negatives=3, text=0.2)
SHARES = [[0, 1, 2], [3], [4, 5]]  # clips 2 and 3 sell the same product; product 6 is in all


def learn(network: SGMN, kind: type[CachedNegatives | SeparateBatches]) -> float:
    passes = kind(network, Objective(network.towers.dim, LOSS, torch.arange(S)))
    results = passes.backward([batch_of(network.towers.dim, rows) for rows in SHARES])
    assert not any(result.loss.requires_grad for result in results)
    return float(torch.stack([result.loss for result in results]).mean())


def test_the_gradient_is_that_of_one_batch(tiny: Callable[[], Any]) -> None:
    """With all parts and losses; also where two batches list a product."""
    whole, parted = full_network(tiny()), full_network(tiny())
    expected = backward(whole, LOSS)
    assert learn(parted, CachedNegatives) == pytest.approx(float(expected.loss.detach()), rel=1e-5)
    own = gradients(parted)
    for name, gradient in gradients(whole).items():
        torch.testing.assert_close(own[name], gradient, atol=1e-5, rtol=1e-5, msg=name)
    assert sum(bool((g.abs() > 1e-4).any()) for g in own.values()) > len(own) / 2


def test_separate_batches_have_fewer_negatives(tiny: Callable[[], Any]) -> None:
    together, separate = full_network(tiny()), full_network(tiny())
    assert learn(separate, SeparateBatches) < learn(together, CachedNegatives)
    name = "head.text"
    assert not torch.allclose(gradients(together)[name], gradients(separate)[name])


def test_a_product_is_never_its_own_negative(tiny: Callable[[], Any]) -> None:
    """Two batches sell the same product, and list another one: each of them counts once."""
    network, seen = full_network(tiny()), []
    objective = Objective(network.towers.dim, LOSS, torch.arange(S))
    objective.register_forward_pre_hook(
        lambda module, inputs: seen.append(objective._gather(*inputs[1:5]))
    )
    batches = [batch_of(network.towers.dim, rows) for rows in ([2], [3])]
    CachedNegatives(network, objective).backward(batches)
    (pairs,) = seen
    assert pairs.candidates.tolist() == [3, 6] and len(pairs.products) == 2
    assert pairs.positive.tolist() == [[True, False], [True, False]]


def test_dropout_is_the_same_in_both_passes(tiny: Callable[[], Any]) -> None:
    """Otherwise the gradient would belong to other vectors than the loss."""
    masks: list[Tensor] = []

    class Recorder(nn.Dropout):
        def forward(self, input: Tensor) -> Tensor:
            output = super().forward(input)
            masks.append(output == 0)
            return output

    network = full_network(tiny()).train()
    dropout, pooling = Recorder(0.5), network.parts.text_pooling
    assert pooling is not None
    pooling.register_forward_pre_hook(
        lambda module, inputs: replace(inputs[0], words=dropout(inputs[0].words))
    )
    learn(network, CachedNegatives)
    first, second = masks[: len(SHARES)], masks[len(SHARES) :]
    assert len(first) == len(second) == len(SHARES)
    for own, again in zip(first, second, strict=True):
        assert torch.equal(own, again) and own.any() and not own.all()


def test_a_run_uses_them_with_accumulation(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """The loss of two batches together is greater: it has more negatives."""
    loss = LossConfig(mining=False, triplet=0.0)
    for name in ("first", "second"):
        assert make_trainer(tmp_path / name, loss, cached_negatives=True, steps=2).run()
    assert read_losses(tmp_path / "first") == read_losses(tmp_path / "second")
    assert make_trainer(tmp_path / "separate", loss, steps=2).run()
    assert read_losses(tmp_path / "separate")[0] < read_losses(tmp_path / "first")[0]
