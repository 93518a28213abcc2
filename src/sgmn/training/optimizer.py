"""The optimizer and its learning rate schedule."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import torch
from torch import nn

from sgmn.model.network import SGMN
from sgmn.training.config import TrainConfig


def build_optimizer(network: SGMN, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW with parameter groups.

    Pretrained parameters and the scalars of the score have learning rates of their own. Norms,
    biases and gains have no weight decay. Each group holds its peak learning rate as "peak_lr".
    """
    pretrained = {id(p) for part in network.towers.backbone() for p in part.parameters()}
    scalars = {id(p) for p in network.head.parameters()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            lr = config.backbone_lr if id(parameter) in pretrained else config.lr
            lr *= config.head_lr_multiplier if id(parameter) in scalars else 1
            groups.setdefault((lr, parameter.dim() > 1), []).append(parameter)
    param_groups: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak_lr": lr,
            "weight_decay": config.weight_decay if is_matrix else 0.0,
        }
        for (lr, is_matrix), parameters in groups.items()
    ]
    return torch.optim.AdamW(param_groups, lr=config.lr, betas=(0.9, 0.98))


def warmup_cosine(step: int, steps: int, warmup_fraction: float) -> float:
    """Return the factor on the peak learning rate at a step: a linear rise, then half a cosine.

    >>> [round(warmup_cosine(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = round(steps * warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))
