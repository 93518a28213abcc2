"""Parameter groups and the learning rate schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from sgmn.model import backbones
from sgmn.training.optimizer import build_optimizer, warmup_cosine
from tests.training.conftest import TRAIN


def test_the_scalars_of_the_score_have_a_rate_of_their_own(tiny: Callable[[], Any]) -> None:
    network = tiny().network
    config = replace(TRAIN, lr=1e-3, head_lr_multiplier=7.0)
    groups = build_optimizer(network, config).param_groups
    rates = {id(p): group["peak_lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in network.head.parameters()} == {7e-3}
    assert rates[id(network.towers.text_projection.weight)] == 1e-3


def test_norms_and_gains_do_not_decay_and_backbones_learn_slowly(
    tiny: Callable[[], Any],
) -> None:
    network = tiny().network
    groups = build_optimizer(network, replace(TRAIN, lr=1e-3, backbone_lr=1e-5)).param_groups
    kind = {id(p): (g["peak_lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(kind) == sum(1 for _ in network.parameters())
    for name, parameter in network.named_parameters():
        rate = 1e-5 if name.startswith("towers.text.") else 1e-3
        decay = TRAIN.weight_decay if parameter.dim() > 1 else 0.0
        assert kind[id(parameter)] == (rate, decay), name


def test_pretrained_image_towers_learn_slowly_too(backbone: Callable[[str], Path]) -> None:
    image, text = str(backbone("vit")), str(backbone("bert"))
    network = backbones.build_composed(image, text, 16, ((32, 32),)).network
    towers = network.towers
    groups = build_optimizer(network, replace(TRAIN, lr=1e-3, backbone_lr=1e-5)).param_groups
    rate = {id(p): g["peak_lr"] for g in groups for p in g["params"]}
    image_tower, projection = towers.image, towers.image_projection
    assert isinstance(image_tower, nn.Module) and isinstance(projection, nn.Linear)
    assert rate[id(next(image_tower.parameters()))] == 1e-5
    assert rate[id(projection.weight)] == 1e-3


def test_the_rate_rises_then_falls() -> None:
    factors = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert factors[:10] == sorted(factors[:10]) and factors[0] > 0
    assert max(factors) == factors[9] == factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0)
    assert warmup_cosine(0, 100, 0.0) == 1
